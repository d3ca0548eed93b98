/** Strings (R4 search.html#string): from the beginning, without case, accents and punctuation, in all scripts. */
import { type Resources, world } from './world.ts';

const named = (...name: object[]): object => ({ name });
const LONG = `${'Ärzte 😀 und '.repeat(60)}Zuletzt`;

const PATIENTS: Resources = {
  'Patient/eve': named({ family: 'Smith', given: ['Eve', 'Marie'] }),
  'Patient/evelyn': named({ family: 'smithson', given: ['Evelyn'] }),
  'Patient/severine': named({ family: 'Goldsmith', given: ['Severine'] }),
  'Patient/soren': named({ family: 'Søndergaard', given: ['Bjørn Kai'], prefix: ['Dr.'], suffix: ['III'] }),
  'Patient/two': named({ use: 'maiden', family: 'Ångström' }, { use: 'official', text: 'Frau Doktor Müßig' }),
  'Patient/irish': named({ family: "O'Brien", given: ['Seán'] }),
  'Patient/hyphen': named({ family: 'Smith-Jones', given: ['Anne-Marie'] }),
  'Patient/turkish': named({ family: 'Işık', given: ['İpek'] }),
  'Patient/icelandic': named({ family: 'Þórðarson' }),
  'Patient/greek': named({ family: 'Παπαδόπουλος', given: ['Νίκος'] }),
  'Patient/cyrillic': named({ family: 'Ёлкина', given: ['Йована'] }),
  'Patient/chinese': named({ family: '王', given: ['小明'], text: '王小明' }),
  'Patient/korean': named({ text: '김민수' }),
  'Patient/arabic': named({ text: 'مُحَمَّد' }),
  'Patient/wide': named({ family: 'Ｓｍｙｔｈｅ' }),
  // é as a letter and a mark, and ﬁ as one sign
  'Patient/apart': named({ family: 'Ame\u0301lie', given: ['ﬁona'] }),
  'Patient/spaced': named({ text: 'Maria  de\tla   Cruz' }),
  'Patient/signs': named({ family: 'A,B|C$D\\E' }),
  'Patient/dash': named({ family: '-', given: ['Bo'] }),
  'Patient/long': named({ text: LONG }),
  'Patient/long2': named({ text: LONG.replace('Zuletzt', 'zuletzt') }),
  'Patient/home': {
    address: [
      {
        use: 'home',
        text: 'Hauptstraße 12, Köln',
        line: ['Hauptstr. 12', 'Hinterhaus'],
        city: 'Köln',
        district: 'Lindenthal',
        state: 'NRW',
        postalCode: '50931',
        country: 'Deutschland',
      },
    ],
  },
  'Patient/away': { address: [{ use: 'work', city: 'Cologne', state: 'Minnesota', postalCode: '56322' }] },
};

const OTHERS: Resources = {
  'Organization/clinic': { name: 'Clinic Cedar Ridge', alias: ['Old Mill'] },
  'Observation/clear': { status: 'final', code: { text: 'x' }, valueString: 'Clear, yellow' },
  'Observation/of-eve': { status: 'final', code: { text: 'x' }, subject: { reference: 'Patient/eve' } },
};

const { finds, refuses } = world(PATIENTS, OTHERS);

finds('R4 search.html#string: the table of eve', 'Patient', [
  ['given=eve', 'eve evelyn'],
  ['given:contains=eve', 'eve evelyn severine'],
  ['given:exact=Eve', 'eve'],
  ['given:exact=eve', ''],
  ['given:exact=Ev', ''],
  ['given=EVE', 'eve evelyn'],
  ['given=marie', 'eve'],
  ['given=marie,severine', 'eve severine'],
  ['given=eve&given=marie', 'eve'],
  ['given=eve&given=lyn', ''],
  ['family=smith', 'eve evelyn hyphen'],
  ['family:contains=SMITH', 'eve evelyn severine hyphen'],
  ['family:exact=Smith', 'eve'],
  ['family:exact=smith', ''],
  ['family:exact=Smith,smithson', 'eve evelyn'],
  // what is only punctuation is a text, too
  ['family:exact=-', 'dash'],
  ['given:exact=-', ''],
  ['family=smith&given:exact=Evelyn', 'evelyn'],
  [
    'family=',
    Object.keys(PATIENTS)
      .map((url) => url.slice('Patient/'.length))
      .join(' '),
  ],
]);

finds('R4 search.html#string: accents and letters that are no letter and a mark', 'Patient', [
  ['family=sonder', 'soren'],
  ['family=SØNDER', 'soren'],
  ['family=ergaard', ''],
  ['family:contains=erGAARD', 'soren'],
  ['given=bjorn k', 'soren'],
  ['given=bjorn   k', 'soren'],
  ['family=angstrom', 'two'],
  ['family:exact=Ångström', 'two'],
  ['family:exact=Angstrom', ''],
  ['name:contains=mussig', 'two'],
  ['name:contains=MÜSSIG', 'two'],
  ['family=isik', 'turkish'],
  ['family=IŞIK', 'turkish'],
  ['given=ipek', 'turkish'],
  ['given=İPEK', 'turkish'],
  ['family=thordarson', 'icelandic'],
  ['family=ÞÓRÐ', 'icelandic'],
  ['family=amelie', 'apart'],
  ['family=Amélie', 'apart'],
  ['family:exact=Amélie', ''],
  ['given=fiona', 'apart'],
  ['family=smythe', 'wide'],
]);

finds('R4 search.html#string: all scripts', 'Patient', [
  ['family=παπαδοπουλος', 'greek'],
  ['family=ΠΑΠΑΔΌΠΟΥΛΟΣ', 'greek'],
  ['family=παπα', 'greek'],
  ['given=νικος', 'greek'],
  // a capital sigma at the end of what is typed is no end of a word
  ['family=ΠΑΠΑΔΟΠΟΥΛΟΣ', 'greek'],
  ['given:contains=ΙΚΟΣ', 'greek'],
  ['given=νικοσ', 'greek'],
  ['family=елк', 'cyrillic'],
  ['family=ЁЛКИНА', 'cyrillic'],
  ['given=йов', 'cyrillic'],
  ['family=王', 'chinese'],
  ['name=王小', 'chinese'],
  ['name=小明', 'chinese'],
  ['name:contains=明', 'chinese'],
  ['name=김민', 'korean'],
  ['name=محمد', 'arabic'],
  ['name:exact=محمد', ''],
]);

finds('R4 search.html#string: punctuation and white space are of no matter', 'Patient', [
  ['family=obrien', 'irish'],
  ["family=o'b", 'irish'],
  ['family=O’Brien', 'irish'],
  ["family:exact=O'Brien", 'irish'],
  ['family:exact=OBrien', ''],
  ['family=smith jones', 'hyphen'],
  ['family=Smith-J', 'hyphen'],
  ['given=anne marie', 'hyphen'],
  ['name=maria de la', 'spaced'],
  ['name=maria  de la', 'spaced'],
  ['address=hauptstr 12', 'home'],
  ['address=Hauptstr. 12', 'home'],
  ['address=hauptstrasse 12 koln', 'home'],
]);

finds('R4 search.html#escaping: , | $ and \\ themselves', 'Patient', [
  ['family=a\\,b\\|c\\$d\\\\e', 'signs'],
  ['family:exact=A\\,B\\|C\\$D\\\\E', 'signs'],
  ['family:exact=A\\,B|C$D\\\\E', 'signs'],
  ['family:exact=A,B|C$D\\\\E', ''],
  ['family:exact=nobody,A\\,B\\|C\\$D\\\\E', 'signs'],
]);

finds('R4 search.html#string: of a HumanName all its texts', 'Patient', [
  ['name=smith', 'eve evelyn hyphen'],
  ['name=eve', 'eve evelyn'],
  ['name=dr', 'soren'],
  ['name=iii', 'soren'],
  ['name=frau', 'two'],
  ['name=angstrom', 'two'],
  ['name=official', ''],
  ['name=maiden', ''],
  ['name:exact=Frau Doktor Müßig', 'two'],
  ['family=frau', ''],
  ['given=smith', ''],
]);

finds('R4 search.html#string: of an Address all its texts', 'Patient', [
  ['address=hauptstr', 'home'],
  ['address=koln', 'home'],
  ['address=hinter', 'home'],
  ['address=50931', 'home'],
  ['address=deutsch', 'home'],
  ['address=lindent', 'home'],
  ['address=nrw,minn', 'home away'],
  ['address=work', ''],
  ['address-city=KÖLN', 'home'],
  ['address-city=colog', 'away'],
  ['address-state=minnesota', 'away'],
  ['address-postalcode=5', 'home away'],
  ['address-country=deutschland', 'home'],
  ['address-city=lindenthal', ''],
  ['address-use=home', 'home'],
]);

finds('R4 search.html#string: longer than an entry of the index', 'Patient', [
  [`name:exact=${LONG}`, 'long'],
  ['name:contains=zuletzt', 'long long2'],
  [`name:contains=${'ARZTE 😀 und '.repeat(15)}zuletzt`, 'long long2'],
  [`name=${LONG.slice(0, 300)}`, 'long long2'],
  ['name=😀', ''],
  ['name:contains=😀', 'long long2'],
]);

finds('R4 search.html#string: beside HumanName', 'Organization', [
  ['name=clinic', 'clinic'],
  ['name=CLINIC CEDAR', 'clinic'],
  ['name=ridge', ''],
  ['name=old mill', 'clinic'],
]);

finds('R4 search.html#string: beyond a reference', 'Observation', [
  ['patient.given:exact=Eve', 'of-eve'],
  ['patient.given:exact=eve', ''],
  ['patient.family:contains=mit', 'of-eve'],
  ['patient.family=smith,x', 'of-eve'],
  ['value-string=clear\\, y', 'clear'],
  ['value-string=clear yellow', 'clear'],
]);

refuses('R4 search.html#modifiers: what a string has not', 'Patient', [
  ['name:text=eve', 'not-supported', /":text", which it cannot have: possible are :missing, :exact/],
  ['name:not=eve', 'not-supported', /possible are :missing, :exact, :contains/],
  ['name:Exact=eve', 'not-supported', /":Exact"/],
  ['name:=eve', 'not-supported', /possible are :missing/],
  ['name:exact:contains=eve', 'value', /two modifiers/],
  [`name:contains=${'a'.repeat(251)}`, 'value', /250 characters/],
  [`name=${'a'.repeat(501)}`, 'value', /500 characters/],
  ['name=-', 'value', /punctuation alone/],
  ['name:contains=., ', 'value', /punctuation alone/],
  ['name=a\\b', 'value', /"\\"/],
  ['name=a\\', 'value', /"\\"/],
]);
