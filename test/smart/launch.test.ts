/** SMART App Launch 2.2: people let apps in. */
import { launch } from './launch.ts';
import { type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart();
});
afterAll(() => server.close());

test('a standalone launch: sign in, choose a patient, consent, a token for that patient', async () => {
  const { tokens } = await launch(server, {
    scope: 'launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs',
  });
  expect(tokens).toMatchObject({
    token_type: 'bearer',
    expires_in: 3600,
    patient: 'ines',
    need_patient_banner: true,
    scope: 'launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs',
  });
  expect(tokens.refresh_token).toBeDefined();
  expect(tokens.claims()).toMatchObject({ fhirUser: `${server.fhir}/Practitioner/ada` });
});
