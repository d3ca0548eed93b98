import { type Definitions, loadDefinitions } from '../../src/fhir/definitions.ts';

let definitions: Definitions;
beforeAll(async () => {
  definitions = await loadDefinitions();
});

describe('R4 resourcelist.html', () => {
  test('there are 146 concrete types, in order', () => {
    expect(definitions.resourceTypes).toHaveLength(146);
    expect(definitions.resourceTypes).toEqual([...definitions.resourceTypes].sort());
  });

  test.each([
    ['Patient', true],
    ['Resource', false],
    ['DomainResource', false],
    ['HumanName', false],
    ['ClientApplication', false],
    ['constructor', false],
  ])('%s is a type: %s', (name, expected) => {
    expect(definitions.isResourceType(name)).toBe(expected);
  });
});

describe('elements', () => {
  test('a choice keeps its name and lists its types', () => {
    const value = definitions.elements('Observation').get('value[x]');
    expect(value).toMatchObject({
      path: 'Observation.value[x]',
      min: 0,
      max: 1,
      summary: true,
      modifier: false,
    });
    expect(value!.types).toEqual(
      expect.arrayContaining(['Quantity', 'CodeableConcept', 'string', 'SampledData', 'Period']),
    );
  });

  test('a resource has those of Resource and DomainResource', () => {
    const names = [...definitions.elements('Patient').keys()];
    expect(names.slice(0, 8)).toEqual([
      'id',
      'meta',
      'implicitRules',
      'language',
      'text',
      'contained',
      'extension',
      'modifierExtension',
    ]);
  });

  test('Bundle, Binary and Parameters are no DomainResources', () => {
    for (const type of ['Bundle', 'Binary', 'Parameters'])
      expect(definitions.elements(type).has('contained')).toBe(false);
  });

  test('system types are given as FHIR types', () => {
    expect(definitions.elements('Patient').get('id')!.types).toEqual(['id']);
    expect(definitions.elements('HumanName').get('id')!.types).toEqual(['string']);
    expect(definitions.elements('Extension').get('url')!.types).toEqual(['uri']);
  });

  test('references have targets, and none where any will do', () => {
    expect(definitions.elements('Observation').get('subject')!.targets).toEqual([
      'Patient',
      'Group',
      'Device',
      'Location',
    ]);
    expect(definitions.elements('Observation').get('focus')!.targets).toBeUndefined();
  });

  test('shared content is found by both paths', () => {
    const range = definitions.elements('Observation.component').get('referenceRange');
    expect(range).toMatchObject({
      contentReference: 'Observation.referenceRange',
      types: ['BackboneElement'],
      max: Infinity,
    });
    expect([...definitions.elements('Observation.component.referenceRange').keys()]).toContain('low');
    expect([...definitions.elements('Parameters.parameter.part').keys()]).toContain('part');
  });

  test('bindings have their value set without version', () => {
    expect(definitions.elements('Observation').get('status')!.binding).toEqual({
      strength: 'required',
      valueSet: 'http://hl7.org/fhir/ValueSet/observation-status',
    });
  });

  test('a SimpleQuantity is a Quantity without comparator', () => {
    expect(definitions.elements('Range').get('low')).toMatchObject({
      types: ['Quantity'],
      quantityProfile: 'SimpleQuantity',
    });
    expect(definitions.elements('SimpleQuantity').has('comparator')).toBe(false);
    expect(definitions.elements('Quantity').has('comparator')).toBe(true);
  });

  test('what the vendor of the definitions added is gone', () => {
    expect([...definitions.elements('Meta').keys()]).toEqual([
      'id',
      'extension',
      'versionId',
      'lastUpdated',
      'source',
      'profile',
      'security',
      'tag',
    ]);
    expect(definitions.elements('Binary').has('url')).toBe(false);
    const codes = definitions.searchParameters('ServiceRequest').map(({ code }) => code);
    expect(codes).not.toContain('order-detail');
  });

  test.each(['Nothing', 'Observation.nothing', 'Observation.status.x', '', '__proto__', 'constructor'])(
    'a name that has none (%j) has none',
    (name) => {
      expect(definitions.elements(name).size).toBe(0);
    },
  );
});

describe('R4 searchparameter-registry.html', () => {
  test('a type has its own and those of all resources, sorted by code', () => {
    const codes = definitions.searchParameters('Patient').map(({ code }) => code);
    expect(codes).toEqual([...codes].sort());
    expect(codes).toEqual(
      expect.arrayContaining(['_id', '_lastUpdated', '_tag', '_text', 'birthdate', 'phone']),
    );
  });

  test('_text is for DomainResources only', () => {
    expect(definitions.searchParameters('Bundle').map(({ code }) => code)).not.toContain('_text');
  });

  test('a composite has its components', () => {
    const composite = definitions
      .searchParameters('Observation')
      .find(({ code }) => code === 'code-value-quantity');
    expect(composite).toMatchObject({ type: 'composite' });
    expect(composite!.component).toEqual([
      { definition: 'http://hl7.org/fhir/SearchParameter/clinical-code', expression: 'code' },
      {
        definition: 'http://hl7.org/fhir/SearchParameter/Observation-value-quantity',
        expression: 'value.as(Quantity)',
      },
    ]);
  });

  test('what is no type has none', () => {
    expect(definitions.searchParameters('Nothing')).toEqual([]);
    expect(definitions.searchParameters('__proto__')).toEqual([]);
  });
});

describe('R4 compartmentdefinition.html and operationslist.html', () => {
  test('parameters that put a resource in the compartment', () => {
    expect(definitions.compartment('Patient', 'Observation')).toEqual(['subject', 'performer']);
    expect(definitions.compartment('Patient', 'Medication')).toEqual([]);
    expect(definitions.compartment('Patient', 'toString')).toEqual([]);
    expect(definitions.compartment('constructor', 'Observation')).toEqual([]);
    expect(definitions.compartment('Encounter', 'Observation')).toEqual(['encounter']);
    expect(definitions.compartment('Device', 'Device')).toEqual([]);
    expect([...definitions.compartments].sort()).toEqual([
      'Device',
      'Encounter',
      'Patient',
      'Practitioner',
      'RelatedPerson',
    ]);
  });

  test('operations with their levels', () => {
    const standard = 'http://hl7.org/fhir/OperationDefinition/';
    const own = definitions.operations.filter(({ url }) => !url.startsWith(standard));
    expect(own.map(({ code }) => code)).toEqual([
      ...['content', 'docref', 'gallery', 'held', 'link', 'reindex', 'reject', 'release', 'send'],
    ]);
    expect(definitions.operations).toHaveLength(46 + own.length);
    expect(definitions.operations.find(({ code }) => code === 'lastn')).toEqual({
      code: 'lastn',
      system: false,
      type: true,
      instance: false,
      resource: ['Observation'],
      url: 'http://hl7.org/fhir/OperationDefinition/Observation-lastn',
      parameters: [{ name: 'max', type: 'positiveInt', min: 0, max: 1 }],
    });
  });
});
