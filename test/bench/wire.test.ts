/** What the driver of the benchmark takes for an answer. */
import { fieldOf, readAnswer } from '../../bench/wire.ts';

const bytes = (text: string) => Buffer.from(text);

test.each([
  ['Content-Length', 'HTTP/1.1 200 OK\r\nETag: W/"2"\r\ncontent-length: 5\r\n\r\nhällo'.replace('5', '6')],
  [
    'chunks',
    'HTTP/1.1 200 OK\r\nETag: W/"2"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhä\r\n3\r\nllo\r\n0\r\n\r\n',
  ],
])('RFC 9112 6.3: an answer by %s is whole at its last byte and not before', (_, text) => {
  const whole = bytes(text);
  for (let end = 0; end < whole.length; end++) expect(readAnswer(whole.subarray(0, end))).toBeUndefined();
  const answer = readAnswer(whole)!;
  expect([answer.status, answer.body.toString(), fieldOf(answer, 'etag')]).toEqual([200, 'hällo', 'W/"2"']);
});

test('RFC 9112 6.3: 204 has no body, whatever its fields say', () => {
  expect(readAnswer(bytes('HTTP/1.1 204 No Content\r\n\r\n'))!.status).toBe(204);
});

test('bytes beyond the length are a fault, not the next answer', () => {
  expect(() => readAnswer(bytes('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab'))).toThrow('longer');
});
