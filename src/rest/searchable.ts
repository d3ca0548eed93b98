/** What of a type, and of all, can be searched: for the CapabilityStatement (R4 capabilitystatement.html). */
import type {
  CapabilityStatementRestResource,
  CapabilityStatementRestResourceSearchParam as Listed,
} from 'fhir/r4.js';
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { modifiersOf } from '../search/filter.ts';
import { followed, targetsOf } from '../search/include.ts';
import { OF_ALL_TYPES, searchable } from '../search/parameters.ts';
import { RESULT_PARAMETERS } from '../search/result.ts';

type OfType = Pick<CapabilityStatementRestResource, 'searchParam' | 'searchInclude' | 'searchRevInclude'>;

/** A type's parameters, and what its resources can bring along. */
export function searchOf(definitions: Definitions, type: string): OfType {
  const include = followed(definitions, type).map(({ code }) => `${type}:${code}`);
  const revinclude = definitions.resourceTypes.flatMap((source) =>
    followed(definitions, source)
      .filter((parameter) => targetsOf(definitions, source, parameter).includes(type))
      .map(({ code }) => `${source}:${code}`),
  );
  return {
    searchInclude: ['*', ...include],
    ...(revinclude.length > 0 && { searchRevInclude: ['*', ...revinclude] }),
    searchParam: [
      ...OF_ALL_TYPES.map(ofOurs),
      ...searchable(definitions, type).map((one) => listed(definitions, type, one)),
    ],
  };
}

/** What a search of all types can have: what is common to them, and what shapes the result. */
export function ofAllTypes(definitions: Definitions): Listed[] {
  const [first = '', ...others] = definitions.resourceTypes;
  const common = searchable(definitions, first).filter(({ url }) =>
    others.every((type) => definitions.searchParameters(type).some((one) => one.url === url)),
  );
  return [
    {
      name: '_type',
      type: 'special',
      documentation: 'the types that are searched, apart by commas; all without it',
    },
    ...OF_ALL_TYPES.map(ofOurs),
    ...common.map((one) => listed(definitions, first, one)),
    ...[...RESULT_PARAMETERS, '_include', '_revinclude'].map(
      (name): Listed => ({ name, type: 'special', documentation: 'shapes the result of any search' }),
    ),
  ];
}

function listed(definitions: Definitions, type: string, parameter: SearchParameter): Listed {
  const { code, url } = parameter;
  const modifiers = modifiersOf(definitions, type, parameter).map((one) => `:${one}`);
  return {
    name: code,
    type: parameter.type,
    definition: url,
    ...(modifiers.length > 0 && { documentation: `modifiers: ${modifiers.join(' ')}` }),
  };
}

const OURS: Readonly<Record<string, string>> = {
  _filter:
    'an expression, as in name co "pet" and birthdate ge 2014 (http://hl7.org/fhir/R4/search_filter.html)',
  _has: 'what is referred to, as in _has:Observation:patient:code=1234-5 (http://hl7.org/fhir/R4/search.html#has)',
  _list: 'what is in the List of this id (http://hl7.org/fhir/R4/search.html#list)',
};

const ofOurs = (name: string): Listed => ({ name, type: 'special', documentation: OURS[name] as string });
