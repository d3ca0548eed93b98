/** The checker finds what is planted in a history, and nothing in one that is right. */
import { judge } from './checker.ts';
import { asked, createIf, patch, put, read, remove, versions } from './histories.ts';
import type { History, Operation, Version } from './history.ts';
import type { FaultKind } from './makers.ts';

const found = (operations: Operation[], resources: Record<string, Version[]>): FaultKind[] => {
  const history: History = { operations, resources: new Map(Object.entries(resources)) };
  return judge(history).map(({ kind }) => kind);
};

/** A history that is right, and one with a fault beside it. */
const cases: readonly (readonly [
  rule: string,
  kind: FaultKind,
  right: readonly [Operation[], Record<string, Version[]>],
  wrong: readonly [Operation[], Record<string, Version[]>],
])[] = [
  [
    'no answer is 500',
    'answer',
    [[asked({ at: [0, 1] }, put('P/a', 'm', 1))], { 'P/a': versions('m') }],
    [[asked({ at: [0, 1] }, put('P/a', 'm', undefined, { answer: { status: 500 } }))], {}],
  ],
  [
    '201 is for what was not there',
    'answer',
    [
      [asked({ at: [0, 1] }, put('P/a', 'm', 1)), asked({ at: [2, 3] }, put('P/a', 'n', 2))],
      { 'P/a': versions('m', 'n') },
    ],
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 3] }, put('P/a', 'n', 2, { answer: { status: 201, resource: 'P/a', version: 2 } })),
      ],
      { 'P/a': versions('m', 'n') },
    ],
  ],
  [
    'versions count up by one',
    'gap',
    [[asked({ at: [0, 1] }, put('P/a', 'm', 1))], { 'P/a': versions('m') }],
    [
      [asked({ at: [0, 1] }, put('P/a', 'm', 1)), asked({ at: [2] }, put('P/a', 'n'))],
      { 'P/a': [...versions('m'), { version: 3, content: { marks: ['n'] }, updated: 2 }] },
    ],
  ],
  [
    'what is acknowledged is there; what has no answer may be',
    'lost',
    [
      [asked({ at: [0, 1] }, put('P/a', 'm', 1)), asked({ at: [2] }, put('P/a', 'n'))],
      { 'P/a': versions('m') },
    ],
    [
      [asked({ at: [0, 1] }, put('P/a', 'm', 1)), asked({ at: [2, 3] }, put('P/a', 'n', 2))],
      { 'P/a': versions('m') },
    ],
  ],
  [
    'nothing is there that nobody asked for',
    'ghost',
    [[asked({ at: [0] }, put('P/a', 'm'))], { 'P/a': versions('m') }],
    [[asked({ at: [0, 1] }, put('P/a', 'm', 1))], { 'P/a': versions('m', 'x') }],
  ],
  [
    'a deletion is somebody’s',
    'ghost',
    [
      [asked({ at: [0, 1] }, put('P/a', 'm', 1)), asked({ at: [14, 16] }, remove('P/a', 2))],
      { 'P/a': versions('m', undefined) },
    ],
    [[asked({ at: [0, 1] }, put('P/a', 'm', 1))], { 'P/a': versions('m', undefined) }],
  ],
  [
    'one write makes one version',
    'twice',
    [[asked({ at: [0, 1] }, put('P/a', 'm', 1))], { 'P/a': versions('m') }],
    [[asked({ at: [0, 1] }, put('P/a', 'm', 1))], { 'P/a': versions('m', 'm') }],
  ],
  [
    'what is refused is not there',
    'refused',
    [[asked({ at: [0, 1] }, put('P/a', 'm', undefined, { answer: { status: 409 } }))], {}],
    [
      [asked({ at: [0, 1] }, put('P/a', 'm', undefined, { answer: { status: 409 } }))],
      { 'P/a': versions('m') },
    ],
  ],
  [
    'a read shows the content of its version',
    'content',
    [
      [asked({ at: [0, 1] }, put('P/a', 'm', 1)), asked({ at: [2, 3] }, read('P/a', 1, 'm'))],
      { 'P/a': versions('m') },
    ],
    [
      [asked({ at: [0, 1] }, put('P/a', 'm', 1)), asked({ at: [2, 3] }, read('P/a', 1, 'x'))],
      { 'P/a': versions('m') },
    ],
  ],
  [
    'a patch keeps what another wrote meanwhile',
    'content',
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 9] }, patch('P/a', 'n', 2)),
        asked({ at: [2, 9] }, patch('P/a', 'o', 3)),
      ],
      { 'P/a': versions('m', 'm+n', 'm+n+o') },
    ],
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 9] }, patch('P/a', 'n', 2)),
        asked({ at: [2, 9] }, patch('P/a', 'o', 3)),
      ],
      { 'P/a': versions('m', 'm+n', 'm+o') },
    ],
  ],
  [
    'If-Match is kept',
    'condition',
    [
      [asked({ at: [0, 1] }, put('P/a', 'm', 1)), asked({ at: [2, 9] }, put('P/a', 'n', 2, { ifMatch: 1 }))],
      { 'P/a': versions('m', 'n') },
    ],
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 9] }, put('P/a', 'n', 3, { ifMatch: 1 })),
        asked({ at: [2, 9] }, put('P/a', 'o', 2)),
      ],
      { 'P/a': versions('m', 'o', 'n') },
    ],
  ],
  [
    'If-Match refuses only what has another version',
    'order',
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 9] }, put('P/a', 'n', 2)),
        asked({ at: [3, 8] }, put('P/a', 'o', undefined, { ifMatch: 1, answer: { status: 412 } })),
      ],
      { 'P/a': versions('m', 'n') },
    ],
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [3, 8] }, put('P/a', 'o', undefined, { ifMatch: 1, answer: { status: 412 } })),
        asked({ at: [9, 10] }, put('P/a', 'n', 2)),
      ],
      { 'P/a': versions('m', 'n') },
    ],
  ],
  [
    'a transaction without an answer is there as a whole, or not at all',
    'half',
    [
      [asked({ at: [0], kind: 'transaction' }, put('P/a', 'm'), put('P/b', 'n'))],
      { 'P/a': versions('m'), 'P/b': versions('n') },
    ],
    [[asked({ at: [0], kind: 'transaction' }, put('P/a', 'm'), put('P/b', 'n'))], { 'P/a': versions('m') }],
  ],
  [
    'a read shows what was acknowledged before it',
    'order',
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 5] }, put('P/a', 'n', 2)),
        asked({ at: [4, 6] }, read('P/a', 1, 'm')),
      ],
      { 'P/a': versions('m', 'n') },
    ],
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 3] }, put('P/a', 'n', 2)),
        asked({ at: [4, 6] }, read('P/a', 1, 'm')),
      ],
      { 'P/a': versions('m', 'n') },
    ],
  ],
  [
    'a read shows nothing that was asked for after it',
    'order',
    [
      [asked({ at: [0, 9] }, put('P/a', 'm', 1)), asked({ at: [4, 6] }, read('P/a', 1, 'm'))],
      { 'P/a': versions('m') },
    ],
    [
      [asked({ at: [7, 9] }, put('P/a', 'm', 1)), asked({ at: [4, 6] }, read('P/a', 1, 'm'))],
      { 'P/a': versions('m') },
    ],
  ],
  [
    'two reads, one after the other, do not go back',
    'order',
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 9] }, put('P/a', 'n', 2)),
        asked({ at: [3, 4] }, read('P/a', 1, 'm')),
        asked({ at: [5, 6] }, read('P/a', 2, 'n')),
      ],
      { 'P/a': versions('m', 'n') },
    ],
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 9] }, put('P/a', 'n', 2)),
        asked({ at: [3, 4] }, read('P/a', 2, 'n')),
        asked({ at: [5, 6] }, read('P/a', 1, 'm')),
      ],
      { 'P/a': versions('m', 'n') },
    ],
  ],
  [
    'a deletion finds nothing only where nothing is',
    'order',
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [14, 16] }, remove('P/a', 2)),
        asked({ at: [15, 18] }, remove('P/a')),
      ],
      { 'P/a': versions('m', undefined) },
    ],
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1)),
        asked({ at: [2, 3] }, remove('P/a')),
        asked({ at: [14, 16] }, remove('P/a', 2)),
      ],
      { 'P/a': versions('m', undefined) },
    ],
  ],
  [
    'a transaction is seen as a whole',
    'order',
    [
      [
        asked({ at: [0, 1], kind: 'transaction' }, put('P/a', 'm', 1), put('P/b', 'n', 1)),
        asked({ at: [2, 9], kind: 'transaction' }, put('P/a', 'o', 2), put('P/b', 'p', 2)),
        asked({ at: [2, 9], kind: 'transaction' }, read('P/a', 2, 'o'), read('P/b', 2, 'p')),
      ],
      { 'P/a': versions('m', 'o'), 'P/b': versions('n', 'p') },
    ],
    [
      [
        asked({ at: [0, 1], kind: 'transaction' }, put('P/a', 'm', 1), put('P/b', 'n', 1)),
        asked({ at: [2, 9], kind: 'transaction' }, put('P/a', 'o', 2), put('P/b', 'p', 2)),
        asked({ at: [2, 9], kind: 'transaction' }, read('P/a', 2, 'o'), read('P/b', 1, 'n')),
      ],
      { 'P/a': versions('m', 'o'), 'P/b': versions('n', 'p') },
    ],
  ],
  [
    'transactions that overlap have one order',
    'order',
    [
      [
        asked({ at: [0, 9], kind: 'transaction' }, put('P/a', 'm', 1), put('P/b', 'n', 1)),
        asked({ at: [0, 9], kind: 'transaction' }, put('P/a', 'o', 2), put('P/b', 'p', 2)),
      ],
      { 'P/a': versions('m', 'o'), 'P/b': versions('n', 'p') },
    ],
    [
      [
        asked({ at: [0, 9], kind: 'transaction' }, put('P/a', 'm', 1), put('P/b', 'n', 2)),
        asked({ at: [0, 9], kind: 'transaction' }, put('P/a', 'o', 2), put('P/b', 'p', 1)),
      ],
      { 'P/a': versions('m', 'o'), 'P/b': versions('p', 'n') },
    ],
  ],
  [
    'a condition has one creator, the other finds what it made',
    'order',
    [
      [
        asked({ at: [0, 9] }, createIf('k', 'm', 201, 'P/a')),
        asked({ at: [0, 9] }, createIf('k', 'n', 200, 'P/a')),
      ],
      { 'P/a': versions({ marks: ['m'], identifier: 'k' }) },
    ],
    [
      [
        asked({ at: [0, 9] }, createIf('k', 'm', 201, 'P/a')),
        asked({ at: [0, 9] }, createIf('k', 'n', 201, 'P/b')),
      ],
      {
        'P/a': versions({ marks: ['m'], identifier: 'k' }),
        'P/b': versions({ marks: ['n'], identifier: 'k' }),
      },
    ],
  ],
  [
    'a condition may create again what was deleted between',
    'condition',
    [
      [
        asked({ at: [0, 1] }, createIf('k', 'm', 201, 'P/a')),
        asked({ at: [14, 16] }, remove('P/a', 2)),
        asked({ at: [15, 18] }, createIf('k', 'n', 201, 'P/b')),
      ],
      {
        'P/a': versions({ marks: ['m'], identifier: 'k' }, undefined),
        'P/b': versions({ marks: ['n'], identifier: 'k' }),
      },
    ],
    [
      [
        asked({ at: [0, 1] }, createIf('k', 'm', 201, 'P/a')),
        asked({ at: [2, 3] }, createIf('k', 'n', 201, 'P/b')),
        asked({ at: [14, 16] }, remove('P/a', 2)),
      ],
      {
        'P/a': versions({ marks: ['m'], identifier: 'k' }, undefined),
        'P/b': versions({ marks: ['n'], identifier: 'k' }),
      },
    ],
  ],
  [
    'what a condition finds is there',
    'order',
    [
      [
        asked({ at: [0, 1] }, createIf('k', 'm', 201, 'P/a')),
        asked({ at: [14, 16] }, remove('P/a', 2)),
        asked({ at: [15, 18] }, createIf('k', 'n', 200, 'P/a')),
      ],
      { 'P/a': versions({ marks: ['m'], identifier: 'k' }, undefined) },
    ],
    [
      [
        asked({ at: [0, 1] }, createIf('k', 'm', 201, 'P/a')),
        asked({ at: [14, 16] }, remove('P/a', 2)),
        asked({ at: [17, 18] }, createIf('k', 'n', 200, 'P/a')),
      ],
      { 'P/a': versions({ marks: ['m'], identifier: 'k' }, undefined) },
    ],
  ],
  [
    'what a condition finds matches it',
    'condition',
    [
      [
        asked({ at: [0, 1] }, createIf('k', 'm', 201, 'P/a')),
        asked({ at: [2, 3] }, createIf('k', 'n', 200, 'P/a')),
      ],
      { 'P/a': versions({ marks: ['m'], identifier: 'k' }) },
    ],
    [
      [
        asked({ at: [0, 1] }, createIf('l', 'm', 201, 'P/a')),
        asked({ at: [2, 3] }, createIf('k', 'n', 200, 'P/a')),
      ],
      { 'P/a': versions({ marks: ['m'], identifier: 'l' }) },
    ],
  ],
  [
    'a condition is refused with 412 only where several match',
    'condition',
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1, { identifier: 'k' })),
        asked({ at: [2, 3] }, put('P/b', 'n', 1, { identifier: 'k' })),
        asked({ at: [4, 5] }, { ...createIf('k', 'o', 200, 'P/a'), answer: { status: 412 } }),
      ],
      {
        'P/a': versions({ marks: ['m'], identifier: 'k' }),
        'P/b': versions({ marks: ['n'], identifier: 'k' }),
      },
    ],
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1, { identifier: 'k' })),
        asked({ at: [4, 5] }, { ...createIf('k', 'o', 200, 'P/a'), answer: { status: 412 } }),
      ],
      { 'P/a': versions({ marks: ['m'], identifier: 'k' }) },
    ],
  ],
  [
    'a conditional reference leads to the one that matches',
    'condition',
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1, { identifier: 'k' })),
        asked({ at: [2, 3], kind: 'transaction' }, put('P/b', 'n', 1, { refers: 'k' })),
      ],
      {
        'P/a': versions({ marks: ['m'], identifier: 'k' }),
        'P/b': versions({ marks: ['n'], link: 'P/a' }),
      },
    ],
    [
      [
        asked({ at: [0, 1] }, put('P/a', 'm', 1, { identifier: 'k' })),
        asked({ at: [2, 3], kind: 'transaction' }, put('P/b', 'n', 1, { refers: 'k' })),
        asked({ at: [4, 5] }, put('P/c', 'o', 1, { identifier: 'k' })),
      ],
      {
        'P/a': versions({ marks: ['m'], identifier: 'k' }),
        'P/b': versions({ marks: ['n'], link: 'P/c' }),
        'P/c': versions({ marks: ['o'], identifier: 'k' }),
      },
    ],
  ],
];

test.each(cases)('%s', (_, kind, right, wrong) => {
  expect(found(...right)).toEqual([]);
  expect(found(...wrong)).toContain(kind);
});
