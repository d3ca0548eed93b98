/** What is used of libraries that come without types, or with types that do not fit how they are imported. */
declare module 'dcmjs' {
  const dcmjs: {
    readonly log: { setLevel(level: 'silent'): void };
    readonly data: {
      readonly DicomMetaDictionary: {
        readonly nameMap: Readonly<
          Record<string, { readonly tag?: string; readonly vr: string; readonly name: string } | undefined>
        >;
        naturalizeDataset(dataset: Readonly<Record<string, unknown>>): Record<string, unknown>;
      };
    };
  };
  export default dcmjs;
}
