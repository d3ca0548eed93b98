import { invalid } from '../../src/fhir/outcome.ts';
import { faultOf, tracesOf } from '../../src/http/faults.ts';

const coded = (code: string, message = 'secret', more = {}) =>
  Object.assign(new Error(message), { code, ...more });

describe('R4 http.html#Status-Codes: what becomes of exceptions', () => {
  test.each([
    [invalid('value', 'wrong'), 400, 'wrong'],
    [coded('ECONNREFUSED', 'connect', { syscall: 'connect' }), 503, 'try again'],
    [coded('57P03'), 503, 'try again'],
    [coded('53300'), 503, 'try again'],
    [coded('57000'), 503, 'try again'],
    [coded('40001'), 409, 'try again'],
    [coded('40P01'), 409, 'try again'],
    [new Error('timeout exceeded when trying to connect'), 503, 'try again'],
    [coded('57014'), 503, 'took too long'],
    [coded('22021'), 400, 'U+0000'],
    [coded('22007'), 400, 'date'],
    [coded('22008'), 400, 'date'],
    [coded('22003'), 400, 'number'],
    [coded('54000'), 400, 'split'],
    [coded('54001'), 400, 'split'],
    [coded('23505'), 500, 'reference r-1'],
    [coded('ENOENT', 'open /secret', { syscall: 'open' }), 500, 'reference r-1'],
    [new TypeError('secret'), 500, 'reference r-1'],
    ['thrown text', 500, 'reference r-1'],
    [undefined, 500, 'reference r-1'],
  ])('%s is %i', (thrown, status, message) => {
    const fault = faultOf(thrown, 'r-1');
    expect(fault.status).toBe(status);
    expect(fault.issues[0]?.diagnostics).toContain(message);
    expect(JSON.stringify(fault)).not.toContain('secret');
    if (status === 503 || status === 409) expect(fault.headers['Retry-After']).toMatch(/^\d+$/);
  });

  test('the log gets no words of PostgreSQL or of JSON.parse, which quote what users have sent', () => {
    expect(
      JSON.stringify(tracesOf(coded('23505', 'secret', { severity: 'ERROR', detail: 'secret' }))),
    ).not.toContain('secret');
    expect(JSON.stringify(tracesOf(new SyntaxError('secret')))).not.toContain('secret');
    expect(tracesOf(new TypeError('x is not a function'))).toMatchObject({ message: 'x is not a function' });
  });
});
