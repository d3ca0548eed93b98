/**
 * The trail of who was shown what (AUDIT): around all of the door, so that no route can forget it. Nothing is shown
 * before it is noted, and committed. Writes are noted by the statement that writes (`change`).
 */
import { Refusal, refusal } from '../fhir/outcome.ts';
import { writeParameters } from '../search/query-string.ts';
import type { Access, Action, AuditLog } from '../store/audit/log.ts';
import type {
  Caller,
  Entry,
  Happened,
  HistoryRequest,
  Outcome,
  Read,
  Records,
  Stored,
  Target,
} from './records.ts';

export type AuditMode = 'strict' | 'relaxed' | 'off';

/** What is noted of an answer, but for who asked. */
type Shown = Omit<Access, 'agent' | 'status' | 'purpose' | 'origin'>;

/** @param failed told of what could not be noted, where nobody waits for it */
export function audited(
  records: Records,
  log: Pick<AuditLog, 'add' | 'addHappening'>,
  mode: AuditMode,
  failed: (fault: unknown) => void,
): Records {
  if (mode === 'off') return records;

  async function kept(noted: Promise<void>): Promise<void> {
    if (mode === 'relaxed') {
      noted.catch(failed);
      return;
    }
    await noted.catch((fault) => {
      failed(fault);
      throw unnoted();
    });
  }

  async function note({ agent, access, origin }: Caller, status: number, shown: Shown): Promise<void> {
    // Whoever holds the database has the command line, too.
    if (agent === 0) return;
    const { purpose } = access;
    await kept(log.add({ ...shown, agent, status, origin, ...(purpose ? { purpose } : {}) }));
  }

  /** Does it, and notes where it was refused. */
  async function tried<T>(caller: Caller, asked: Omit<Shown, 'shown'>, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (fault) {
      if (fault instanceof Refusal && REFUSED.has(fault.status))
        await note(caller, fault.status, { shown: [], ...asked });
      throw fault;
    }
  }

  /** The same of a write, which notes itself where it is done; where it found what is there, that is shown. */
  async function written<T extends Stored>(
    caller: Caller,
    asked: Omit<Shown, 'shown'>,
    work: () => Promise<T>,
  ): Promise<T> {
    const resource = await tried(caller, asked, work);
    if (resource.rid !== undefined && resource.content !== '')
      await note(caller, 200, { action: 'r', ...typeOf(resource.type), ...ofOne(resource) });
    return resource;
  }

  /** Does it, and notes what was shown, or that it was refused. */
  async function noting<T>(
    caller: Caller,
    asked: Omit<Shown, 'shown'>,
    work: () => Promise<T>,
    shown: (answer: T) => Partial<Shown>,
  ): Promise<T> {
    const answer = await tried(caller, asked, work);
    await note(caller, 200, { shown: [], ...asked, ...shown(answer) });
    return answer;
  }

  async function* pieces<T extends Stored>(
    caller: Caller,
    asked: Omit<Shown, 'shown'>,
    all: AsyncIterable<readonly T[]>,
  ): AsyncGenerator<readonly T[]> {
    for await (const piece of all) {
      await note(caller, 200, { ...asked, shown: ridsOf(piece) });
      yield piece;
    }
  }

  /** What entries of a Bundle have shown. */
  async function noteOutcome(caller: Caller, entry: Entry, outcome: Outcome): Promise<void> {
    if (entry.method === 'GET') return note(caller, 200, { ...askedOf(entry.read), ...shownIn(outcome) });
    // A condition has found what is there already.
    if (outcome.kind === 'unchanged' && outcome.resource.content !== '')
      return note(caller, 200, { action: 'r', type: entry.type, ...ofOne(outcome.resource) });
  }

  return {
    ...records,
    read: (caller, type, id) =>
      noting(caller, askedOf({ kind: 'read', type, id }), () => records.read(caller, type, id), ofOne),
    readAll: (caller, type, ids) =>
      noting(
        caller,
        { action: 's', type, query: `${type}?_id=${ids.join(',')}` },
        () => records.readAll(caller, type, ids),
        (found) => ofPage({ entries: [...found.values()] }),
      ),
    vread: (caller, type, id, version) =>
      noting(
        caller,
        askedOf({ kind: 'vread', type, id, version }),
        () => records.vread(caller, type, id, version),
        ofOne,
      ),
    history: (caller, request) =>
      noting(caller, askedOf({ kind: 'history', request }), () => records.history(caller, request), ofPage),
    search: (caller, request) =>
      noting(caller, askedOf({ kind: 'search', request }), () => records.search(caller, request), ofPage),
    async everything(caller, request) {
      const { type, id } = request;
      const asked = { action: 'e', type, query: `${type}/${id ?? ''}/$everything` } as const;
      const found = await noting(
        caller,
        asked,
        () => records.everything(caller, request),
        () => ({}),
      );
      return { ...found, pieces: pieces(caller, asked, found.pieces) };
    },
    async document(caller, id) {
      const asked = { action: 'd', type: 'Composition', query: `Composition/${id}/$document` } as const;
      return pieces(
        caller,
        asked,
        await noting(
          caller,
          asked,
          () => records.document(caller, id),
          () => ({}),
        ),
      );
    },
    create: (caller, type, body, ifNoneExist) =>
      written(caller, { action: 'C', type }, () => records.create(caller, type, body, ifNoneExist)),
    update: (caller, target, body, provided) =>
      written(caller, ofTarget('U', target), () => records.update(caller, target, body, provided)),
    patch: (caller, target, patch, provided) =>
      written(caller, ofTarget('P', target), () => records.patch(caller, target, patch, provided)),
    remove: (caller, target, provided) =>
      tried(caller, ofTarget('D', target), () => records.remove(caller, target, provided)),
    changeMeta: (caller, to, edit) =>
      written(caller, { action: 'M', type: to.type, query: `${to.type}/${to.id}` }, () =>
        records.changeMeta(caller, to, edit),
      ),
    writeBinary: (caller, id, bytes, provided) =>
      tried(
        caller,
        { action: id === undefined ? 'C' : 'U', type: 'Binary', query: id && `Binary/${id}` },
        () => records.writeBinary(caller, id, bytes, provided),
      ),
    explain: (caller, request) =>
      tried(caller, { ...askedOf({ kind: 'search', request }), action: 'O' }, () =>
        records.explain(caller, request),
      ),
    reindex: (caller, wanted) =>
      tried(caller, { action: 'O', query: '$reindex' }, () => records.reindex(caller, wanted)),
    async carryOut(caller, entry) {
      if (entry.method === 'GET')
        return noting(caller, askedOf(entry.read), () => records.carryOut(caller, entry), shownIn);
      const outcome = await tried(caller, ofWriting(entry), () => records.carryOut(caller, entry));
      await noteOutcome(caller, entry, outcome);
      return outcome;
    },
    async transaction(caller, entries) {
      const outcomes = await tried(caller, { action: 'T' }, () => records.transaction(caller, entries));
      await Promise.all(outcomes.map((outcome, i) => noteOutcome(caller, entries[i] as Entry, outcome)));
      return outcomes;
    },
    imaging: {
      ...records.imaging,
      find: (caller, sought) =>
        noting(
          caller,
          { action: 's', type: 'ImagingStudy', query: sought.asked },
          () => records.imaging.find(caller, sought),
          ({ rows }) => ({ shown: [...new Set(rows.map(({ rid }) => rid))], found: rows.length }),
        ),
      read: (caller, of) =>
        noting(
          caller,
          { action: 'r', type: 'ImagingStudy', query: `dicomweb/${pathOfStudy(of)}` },
          () => records.imaging.read(caller, of),
          ({ study }) => ofOne(study),
        ),
      review: {
        ...records.imaging.review,
        // Whom they are about is not known, so that who has seen or rejected them is noted with their study.
        find: (caller, wanted) =>
          noting(
            caller,
            { action: 'O', type: 'ImagingStudy', query: `ImagingStudy/$held?study=${wanted.study ?? ''}` },
            () => records.imaging.review.find(caller, wanted),
            (found) => ({ found: found.length }),
          ),
        release: (caller, arrival, to) =>
          noting(
            caller,
            { action: 'O', type: 'ImagingStudy', query: `ImagingStudy/$release?study=${arrival.study.uid}` },
            () => records.imaging.review.release(caller, arrival, to),
            (arrived) => ({ found: arrived.length }),
          ),
        reject: (caller, held) =>
          noting(
            caller,
            { action: 'O', type: 'ImagingStudy', query: `ImagingStudy/$reject?held=${held.join(',')}` },
            () => records.imaging.review.reject(caller, held),
            (found) => ({ found }),
          ),
      },
    },
    async breakGlass(request) {
      const until = await records.breakGlass(request);
      const { agent, patient } = request;
      await log.addHappening({ action: 'g', status: 200, agent, patient, query: `Patient/${patient}` });
      return until;
    },
    note: ({ what, refused = false, status = refused ? 403 : 200, asked, address, ...by }) =>
      kept(
        log.addHappening({
          ...by,
          action: HAPPENED[what],
          status,
          origin: address === undefined ? undefined : `- ${address}`,
          query: asked,
        }),
      ),
  };
}

/** What somebody may have wanted to know whether it is there. */
const REFUSED = new Set([403, 404, 410]);

const HAPPENED: Readonly<Record<Happened['what'], Action>> = {
  'sign-in': 'i',
  'sign-out': 'o',
  token: 't',
  'token-shown': 'n',
  export: 'x',
  link: 'k',
};

const WRITING = { POST: 'C', PUT: 'U', PATCH: 'P', DELETE: 'D' } as const;

function ofWriting(entry: Exclude<Entry, { readonly method: 'GET' }>): Omit<Shown, 'shown'> {
  return entry.method === 'POST' ? { action: 'C', type: entry.type } : ofTarget(WRITING[entry.method], entry);
}

const ofTarget = (action: Action, { type, id, where }: Target): Omit<Shown, 'shown'> => ({
  action,
  type,
  query: id === undefined ? `${type}?${where?.text ?? ''}` : `${type}/${id}`,
});

function askedOf(read: Read): Omit<Shown, 'shown'> {
  switch (read.kind) {
    case 'read':
      return { action: 'r', type: read.type, query: `${read.type}/${read.id}` };
    case 'vread':
      return { action: 'v', type: read.type, query: `${read.type}/${read.id}/_history/${read.version}` };
    case 'history':
      return { action: 'h', ...typeOf(read.request.type), query: pathOf(read.request) };
    case 'search': {
      const { types, parameters } = read.request;
      const [only] = types.length === 1 ? types : [];
      return { action: 's', ...typeOf(only), query: `${only ?? ''}?${writeParameters(parameters)}` };
    }
  }
}

const typeOf = (type: string | undefined): Pick<Shown, 'type'> => (type === undefined ? {} : { type });

const pathOf = ({ type, id }: HistoryRequest): string =>
  [type, id, '_history'].filter((part) => part !== undefined).join('/');

const pathOfStudy = (of: {
  readonly study: string;
  readonly series?: string;
  readonly instance?: string;
}): string =>
  [
    ['studies', of.study],
    ['series', of.series],
    ['instances', of.instance],
  ]
    .filter(([, uid]) => uid !== undefined)
    .map((part) => part.join('/'))
    .join('/');

function shownIn(outcome: Outcome): Pick<Shown, 'shown'> & Partial<Shown> {
  switch (outcome.kind) {
    case 'read':
    case 'unchanged':
      return ofOne(outcome.resource);
    case 'history':
    case 'search':
      return ofPage(outcome.page);
    default:
      return { shown: [] };
  }
}

const ridsOf = (resources: readonly Stored[]): readonly number[] => resources.flatMap(({ rid }) => rid ?? []);

function ofOne({ rid }: Stored): Pick<Shown, 'shown'> & Partial<Shown> {
  // Its type and number say what was asked for.
  return rid === undefined ? { shown: [], found: 1 } : { rid, shown: [rid], query: undefined };
}

function ofPage({
  entries,
  included = [],
  total,
}: {
  readonly entries: readonly Stored[];
  readonly included?: readonly Stored[];
  readonly total?: number | undefined;
}): Pick<Shown, 'shown' | 'found'> {
  const shown = [...new Set(ridsOf([...entries, ...included]))];
  return { shown, found: shown.length > 0 ? shown.length : (total ?? 0) };
}

const unnoted = (): Refusal => {
  const { status, issues } = refusal(
    503,
    'transient',
    'What is shown has to be noted first, and that could not be done: try again later',
  );
  return new Refusal(status, issues, { 'Retry-After': '5' });
};
