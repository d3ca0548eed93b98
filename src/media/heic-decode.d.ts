declare module 'heic-decode' {
  interface Picture {
    readonly width: number;
    readonly height: number;
    decode(): Promise<{ readonly width: number; readonly height: number; readonly data: Uint8ClampedArray }>;
  }
  const decode: {
    /** The pictures of a HEIC file, each decoded when it is asked to be; they are freed by `dispose`. */
    all(input: { readonly buffer: Uint8Array }): Promise<readonly Picture[] & { dispose(): void }>;
  };
  export default decode;
}
