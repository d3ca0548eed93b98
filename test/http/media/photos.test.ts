/** Photos: what others see of them, and smaller ones (issue of media: Photos). */
import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { startApp, type TestApp } from '../app.ts';
import { asBytes, picture, raw, seen, store, tells, tiff } from './support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const FHIR = 'application/fhir+json';
const bytesOf = async (path: string): Promise<Buffer> =>
  (await asBytes(app.send('get', path)).expect(200)).body;

describe('what others see of a photo', () => {
  test.each(['jpeg', 'png', 'webp'] as const)(
    '%s: place and device are gone, the pixels are the same',
    async (form) => {
      const photo = await picture(form);
      expect(tells(photo)).toBe(true);
      const id = await store(app, `image/${form}`, photo);
      const served = await bytesOf(`/Binary/${id}`);
      expect(tells(served)).toBe(false);
      expect(await sharp(served).raw().toBuffer()).toEqual(await sharp(photo).raw().toBuffer());
      // ETag and size are over what is served
      const answer = await app.send('head', `/Binary/${id}`);
      const sha256 = createHash('sha256').update(served).digest('hex');
      expect(answer.headers).toMatchObject({
        etag: `"1.${sha256}"`,
        'content-length': String(served.length),
      });
    },
  );

  test('tiff: they are blanked where they are', async () => {
    const photo = tiff();
    const served = await bytesOf(`/Binary/${await store(app, 'image/tiff', photo)}`);
    expect([tells(photo), tells(served)]).toEqual([true, false]);
    expect(served.length).toBe(photo.length);
    expect(await sharp(served).raw().toBuffer()).toEqual(await sharp(photo).raw().toBuffer());
  });

  test('a photo that tells nothing stays as it came, to the byte', async () => {
    const photo = await sharp(await picture('jpeg'))
      .jpeg()
      .toBuffer();
    expect((await bytesOf(`/Binary/${await store(app, 'image/jpeg', photo)}`)).equals(photo)).toBe(true);
  });

  test.each([
    [3, 400, 200, 'blue', 'red'],
    [6, 200, 400, 'red', 'blue'],
    [8, 200, 400, 'blue', 'red'],
  ])('EXIF orientation %i: it is turned upright', async (orientation, width, height, first, last) => {
    const id = await store(app, 'image/jpeg', await picture('jpeg', { orientation }));
    const served = await bytesOf(`/Binary/${id}`);
    expect(await seen(served)).toMatchObject({ width, height, first, last });
    expect((await sharp(served).metadata()).orientation).toBeUndefined();
  });

  test('pictures and films behind the end of a JPEG are gone', async () => {
    const photo = await picture('jpeg');
    const id = await store(app, 'image/jpeg', Buffer.concat([photo, photo, Buffer.from('ftypmp42 film')]));
    const served = await bytesOf(`/Binary/${id}`);
    expect(tells(served)).toBe(false);
    expect(served.includes('film')).toBe(false);
    expect(await seen(served)).toMatchObject({ width: 400, height: 200 });
  });

  test('it is looked at what it is, not at what it is called, and in FHIR JSON too', async () => {
    const photo = await picture('jpeg');
    const id = await store(app, 'application/octet-stream', photo);
    expect(tells(await bytesOf(`/Binary/${id}`))).toBe(false);
    const binary = { resourceType: 'Binary', contentType: 'image/jpeg', data: photo.toString('base64') };
    const { body } = await app.send('post', '/Binary').type(FHIR).send(binary).expect(201);
    expect(tells(Buffer.from(body.data, 'base64'))).toBe(false);
    const bundle = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [{ resource: binary, request: { method: 'POST', url: 'Binary' } }],
    };
    const done = await app.send('post', '').type(FHIR).send(bundle).expect(200);
    expect(tells(await bytesOf(`/${done.body.entry[0].response.location}`))).toBe(false);
  });

  test('the original is kept where that is asked for, under a restricted label', async () => {
    const photo = await picture('jpeg');
    const answer = await raw(
      app.send('post', '/Binary').set({ 'X-Keep-Original': 'true', 'X-Security-Context': 'Patient/p' }),
      'image/jpeg',
      photo,
    ).expect(201);
    const id = answer.headers.location!.split('/').at(-3)!;
    expect(tells(await bytesOf(`/Binary/${id}`))).toBe(false);
    const [, original] = /^<https:\/\/fhir\.example\.org\/fhir\/(Binary\/[^>]+)>; rel="original"$/.exec(
      answer.headers.link!,
    )!;
    expect((await bytesOf(`/${original}`)).equals(photo)).toBe(true);
    const { body } = await app.send('get', `/${original}`).set('Accept', FHIR);
    expect(body).toMatchObject({
      meta: { security: [{ code: 'R' }] },
      securityContext: { reference: 'Patient/p' },
    });
    await raw(app.send('post', '/Binary').set('X-Keep-Original', 'perhaps'), 'image/jpeg', photo).expect(400);
  });

  test('a Binary that comes under a restricted label stays as it is', async () => {
    const photo = await picture('jpeg');
    const security = [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' }];
    const { body } = await app
      .send('post', '/Binary')
      .type(FHIR)
      .send({
        resourceType: 'Binary',
        meta: { security },
        contentType: 'image/jpeg',
        data: photo.toString('base64'),
      })
      .expect(201);
    expect(Buffer.from(body.data, 'base64').equals(photo)).toBe(true);
  });

  test('a damaged picture is refused, and nothing of it is kept', async () => {
    const photo = await picture('jpeg');
    const { rows: before } = await app.app.pool.query('select count(*) from blob');
    const answer = await raw(app.send('post', '/Binary'), 'image/jpeg', photo.subarray(0, 30)).expect(422);
    expect(answer.body.issue[0].diagnostics).toMatch(/damaged/);
    expect((await app.app.pool.query('select count(*) from blob')).rows).toEqual(before);
  });
});

describe('$content', () => {
  test.each(['jpeg', 'png', 'webp', 'tiff', 'gif'] as const)(
    '%s in 256 and 1024, made once',
    async (form) => {
      const id = await store(app, `image/${form}`, await picture(form, { width: 2400, height: 1200 }));
      for (const edge of [256, 1024]) {
        const path = `/Binary/${id}/$content?size=${edge}`;
        const answer = await asBytes(app.send('get', path)).expect(200);
        expect(answer.headers).toMatchObject({
          'content-type': 'image/jpeg',
          'content-disposition': `inline; filename="${id}"`,
          'x-content-type-options': 'nosniff',
        });
        expect(await seen(answer.body)).toMatchObject({
          format: 'jpeg',
          width: edge,
          height: edge / 2,
          first: 'red',
        });
        expect((await bytesOf(path)).equals(answer.body)).toBe(true);
      }
      const { rows } = await app.app.pool.query(
        `select count(*)::int from rendition where blob = (select blob from resource where id = $1)`,
        [id],
      );
      expect(rows[0].count).toBe(2);
    },
  );

  test('asked for together it is made once; never larger than the picture', async () => {
    const id = await store(app, 'image/png', await picture('png', { width: 100, height: 60 }));
    const answers = await Promise.all([1, 2, 3].map(() => bytesOf(`/Binary/${id}/$content?size=256`)));
    expect(new Set(answers.map((one) => one.toString('base64'))).size).toBe(1);
    expect(await seen(answers[0]!)).toMatchObject({ width: 100, height: 60 });
  });

  test('full, ranges, HEAD and conditions', async () => {
    const id = await store(app, 'image/jpeg', await picture('jpeg'));
    const whole = await bytesOf(`/Binary/${id}`);
    for (const query of ['', '?size=full'])
      expect((await bytesOf(`/Binary/${id}/$content${query}`)).equals(whole)).toBe(true);
    const path = `/Binary/${id}/$content?size=256`;
    const small = await bytesOf(path);
    const part = await asBytes(app.send('get', path).set('Range', 'bytes=10-19')).expect(206);
    expect(part.body.equals(small.subarray(10, 20))).toBe(true);
    const { headers } = await app.send('head', path).expect(200);
    expect(headers['content-length']).toBe(String(small.length));
    await app.send('get', path).set('If-None-Match', headers.etag!).expect(304);
    // what `<img>` accepts
    await app.send('get', path).set('Accept', 'image/webp,image/*').expect(200);
  });

  test('of a Media: through the Binary that it names', async () => {
    const id = await store(app, 'image/jpeg', await picture('jpeg'));
    await app.create('Media', 'wound', { status: 'completed', content: { url: `Binary/${id}` } });
    expect(await seen(await bytesOf('/Media/wound/$content?size=256'))).toMatchObject({ width: 256 });
    await app.create('Media', 'elsewhere', {
      status: 'completed',
      content: { url: 'https://example.org/x' },
    });
    await app.send('get', '/Media/elsewhere/$content').expect(404);
    // leave to read Media alone does not show its bytes
    const token = await app.app.issueToken({ scope: 'system/Media.r', client: 'test', minutes: 5 });
    await app.send('get', '/Media/wound/$content').set('Authorization', `Bearer ${token}`).expect(403);
    await app.send('get', `/Binary/${id}/$content`).set('Authorization', `Bearer ${token}`).expect(403);
  });

  test('what is no picture, or a bomb, is refused', async () => {
    const text = await store(app, 'text/plain', Buffer.from('no picture'));
    await app.send('get', `/Binary/${text}/$content?size=256`).expect(422);
    await app.send('get', `/Binary/${text}/$content?size=17`).expect(400);
    // 12,000 squared: some KB, which would be 432 MB
    const bomb = await sharp({
      create: { width: 12_000, height: 12_000, channels: 3, background: 'white' },
      limitInputPixels: false,
    })
      .png()
      .toBuffer();
    const id = await store(app, 'image/png', bomb);
    const answer = await app.send('get', `/Binary/${id}/$content?size=256`).expect(422);
    expect(answer.body.issue[0].diagnostics).toMatch(/100 million pixels/);
  });
});

describe('what it is, not what it says', () => {
  test.each([
    ['image/jpeg', '<html><script>alert(1)</script></html>'],
    ['image/png', '  <!-- -->\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'],
    ['text/plain', '<!DOCTYPE html><p>hello'],
    ['text/plain', 'words before <script>alert(1)</script>'],
    ['application/pdf', 'MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff'],
    ['video/mp4', '\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00'],
    ['text/plain', '#!/bin/sh\nrm -rf /'],
    ['image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"/>'],
  ])('%s: %s is only offered for saving', async (type, text) => {
    const id = await store(app, type, Buffer.from(text, 'latin1'));
    for (const path of [`/Binary/${id}`, `/Binary/${id}/$content`]) {
      const { headers } = await asBytes(app.send('get', path)).expect(200);
      expect(headers['content-disposition']).toMatch(/^attachment/);
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['content-security-policy']).toMatch(/^sandbox; default-src 'none'/);
    }
  });

  test('DICOM is known by its mark', async () => {
    const dicom = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.alloc(20)]);
    const id = await store(app, 'application/octet-stream', dicom);
    const { rows } = await app.app.pool.query(
      'select kind from blob join resource on blob = name where id = $1',
      [id],
    );
    expect(rows).toEqual([{ kind: 'application/dicom' }]);
  });
});
