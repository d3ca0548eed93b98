// The floors of the house: a room imports only rooms below it (ARCHITECTURE.md, "Rooms").
const ground = ['config', 'fhir', 'search'];
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
  operations: ['http', 'records', 'jobs'],
};
const allowed = (room) =>
  ['config', 'fhir', 'search'].includes(room) ? rooms[room] : [...ground, ...rooms[room]];
const path = (room) => (room === 'config' ? '^src/config\\.ts$' : `^src/${room}/`);

module.exports = {
  forbidden: [
    ...Object.keys(rooms).map((room) => ({
      name: `floor-${room}`,
      comment: `src/${room} may import only ${allowed(room).join(', ') || 'nothing of src'}`,
      severity: 'error',
      from: { path: path(room) },
      to: { path: '^src/', pathNot: [path(room), ...allowed(room).map(path)] },
    })),
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
