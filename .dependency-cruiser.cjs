// The floors of the house: a room imports only rooms below it (ARCHITECTURE.md, "Rooms").
const ground = ['config', 'fhir', 'search'];
/** What each room may import beside itself and the ground. `app.ts` composes them, and `cli` is above it. */
const rooms = {
  config: [],
  fhir: ['config'],
  search: ['config', 'fhir'],
  access: [],
  store: [],
  jobs: ['store'],
  records: ['access', 'store', 'jobs'],
  http: ['records'],
  rest: ['http', 'records'],
  media: ['http', 'records', 'jobs'],
  operations: ['http', 'records', 'jobs', 'media', 'imaging'],
  imaging: ['http', 'records', 'jobs', 'media'],
  smart: ['access', 'store', 'jobs', 'records', 'http'],
};
rooms.app = Object.keys(rooms);
rooms.cli = Object.keys(rooms);
const belowHttp = [...ground, 'access', 'store', 'jobs', 'records'];

const allowed = (room) => (ground.includes(room) ? rooms[room] : [...ground, ...rooms[room]]);
const path = (room) => (['config', 'app'].includes(room) ? `^src/${room}\\.ts$` : `^src/${room}/`);

module.exports = {
  forbidden: [
    ...Object.keys(rooms).map((room) => ({
      name: `floor-${room}`,
      comment: `src/${room} may import only ${allowed(room).join(', ') || 'nothing of src'}`,
      severity: 'error',
      from: { path: path(room) },
      to: { path: '^src/', pathNot: [path(room), ...allowed(room).map(path)] },
    })),
    {
      name: 'known-room',
      comment: 'every file of src is in a room that has a row above',
      severity: 'error',
      from: { path: '^src/', pathNot: Object.keys(rooms).map(path) },
      to: {},
    },
    {
      name: 'no-http-below-the-hall',
      comment: 'what is below src/http does not know HTTP',
      severity: 'error',
      from: { path: belowHttp.map(path) },
      to: { path: '^(node:)?(http|https|http2)$|(^|/)node_modules/express/' },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '^fhir/' } },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
};
