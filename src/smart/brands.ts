/** Who runs this server, for lists of servers (SMART App Launch 2.2, brands.html): one Organization, one Endpoint. */
import type { Bundle, Endpoint, Organization } from 'fhir/r4.js';
import type { Config } from '../config.ts';
import type { Endpoints } from '../http/issuer.ts';

const UTILS = 'http://hl7.org/fhir/StructureDefinition';

export function brands(
  { fhir, manage }: Endpoints,
  { baseUrl }: Pick<Config, 'baseUrl'>,
): Bundle<Endpoint | Organization> {
  const organization = `${baseUrl}/auth/brands.json#organization`;
  const endpoint = `${baseUrl}/auth/brands.json#endpoint`;
  return {
    resourceType: 'Bundle',
    type: 'collection',
    timestamp: new Date().toISOString(),
    entry: [
      {
        fullUrl: endpoint,
        resource: {
          resourceType: 'Endpoint',
          id: 'endpoint',
          extension: [{ url: `${UTILS}/endpoint-fhir-version`, valueCode: '4.0.1' }],
          status: 'active',
          connectionType: {
            system: 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type',
            code: 'hl7-fhir-rest',
          },
          name: 'FHIR R4',
          contact: [{ system: 'url', value: manage }],
          payloadType: [
            {
              coding: [
                { system: 'http://terminology.hl7.org/CodeSystem/endpoint-payload-type', code: 'none' },
              ],
            },
          ],
          address: fhir,
        },
      },
      {
        fullUrl: organization,
        resource: {
          resourceType: 'Organization',
          id: 'organization',
          extension: [
            {
              url: `${UTILS}/organization-portal`,
              extension: [
                { url: 'portalName', valueString: 'Consilium' },
                { url: 'portalUrl', valueUrl: manage },
                { url: 'portalEndpoint', valueReference: { reference: endpoint } },
              ],
            },
          ],
          active: true,
          name: new URL(baseUrl).hostname,
          telecom: [{ system: 'url', value: baseUrl }],
          endpoint: [{ reference: endpoint }],
        },
      },
    ],
  };
}
