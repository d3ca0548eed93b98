/**
 * Who sees what is not about one patient alone (README, "Who sees what"). It is about nobody, or about several, or says
 * who does something: by reachability alone nothing is seen.
 */

/** What says who there is, where, and what things mean: everybody who may read or search these types sees all of them. */
export const DIRECTORY: ReadonlySet<string> = new Set([
  'ActivityDefinition',
  'CapabilityStatement',
  'CatalogEntry',
  'ChargeItemDefinition',
  'CodeSystem',
  'CompartmentDefinition',
  'ConceptMap',
  'DeviceDefinition',
  'Endpoint',
  'EventDefinition',
  'Evidence',
  'EvidenceVariable',
  'EffectEvidenceSynthesis',
  'ExampleScenario',
  'GraphDefinition',
  'HealthcareService',
  'ImplementationGuide',
  'InsurancePlan',
  'Library',
  'Location',
  'Measure',
  'Medication',
  'MedicationKnowledge',
  'MedicinalProduct',
  'MedicinalProductAuthorization',
  'MedicinalProductContraindication',
  'MedicinalProductIndication',
  'MedicinalProductIngredient',
  'MedicinalProductInteraction',
  'MedicinalProductManufactured',
  'MedicinalProductPackaged',
  'MedicinalProductPharmaceutical',
  'MedicinalProductUndesirableEffect',
  'MessageDefinition',
  'NamingSystem',
  'ObservationDefinition',
  'OperationDefinition',
  'Organization',
  'OrganizationAffiliation',
  'PlanDefinition',
  'Practitioner',
  'PractitionerRole',
  'Questionnaire',
  'ResearchDefinition',
  'ResearchElementDefinition',
  'ResearchStudy',
  'RiskEvidenceSynthesis',
  'Schedule',
  'SearchParameter',
  'Slot',
  'SpecimenDefinition',
  'StructureDefinition',
  'StructureMap',
  'Substance',
  'SubstanceNucleicAcid',
  'SubstancePolymer',
  'SubstanceProtein',
  'SubstanceReferenceInformation',
  'SubstanceSourceMaterial',
  'SubstanceSpecification',
  'TerminologyCapabilities',
  'TestReport',
  'TestScript',
  'ValueSet',
  'VerificationResult',
]);

/** Parameters by which a practitioner, or their organization, is asked or told something, whomever it is about. */
export const ADDRESSED: Readonly<Record<string, readonly string[]>> = {
  Appointment: ['practitioner'],
  AppointmentResponse: ['practitioner'],
  Communication: ['recipient'],
  CommunicationRequest: ['recipient'],
  ServiceRequest: ['performer'],
  Task: ['owner'],
};

/** And by which they have asked or told it: that they see, but it is others' to go on with. */
export const SENT: Readonly<Record<string, readonly string[]>> = {
  Communication: ['sender'],
  CommunicationRequest: ['sender'],
  ServiceRequest: ['requester'],
  Task: ['requester'],
};

/** What is in the directory, too, as long as it is about nobody: a monitor of the ward is, the one in a patient is not. */
export const EQUIPMENT: ReadonlySet<string> = new Set(['Device']);

/** Types that only systems write: who a Person is decides whose records are theirs. */
export const IDENTITY: ReadonlySet<string> = new Set(['Person']);

/** Parameters by which a new Patient is one of a practitioner's, or of their organization's. */
export const TREATED: readonly string[] = ['general-practitioner', 'organization'];

/** The code system of labels for which a clearance is needed. */
export const CONFIDENTIALITY = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';
