/** After all tests: stops what setup.ts started. */
export default async function teardown(): Promise<void> {
  await (globalThis as unknown as { releaseTestDatabase: () => Promise<void> }).releaseTestDatabase();
}
