/** What a long fuzz run has seen go wrong: faults, and how long the slowest took. */
export interface Watch {
  /** Does it; what it gives, or throws, is a fault. */
  timed(work: () => Promise<string | undefined>): Promise<void>;
  /** The longest since it was last asked, in whole ms. */
  longest(): number;
  /** Prints what was seen, and sets the exit code: nothing may fail, or take more than 10 s. */
  end(): void;
}

export function watch(): Watch {
  const faults: string[] = [];
  let longest = 0;
  let slowest = 0;
  return {
    async timed(work) {
      const began = performance.now();
      const fault = await work().catch((thrown) => String(thrown?.stack ?? thrown));
      longest = Math.max(longest, performance.now() - began);
      slowest = Math.max(slowest, longest);
      if (fault) faults.push(fault);
    },
    longest() {
      const ms = Math.round(longest);
      longest = 0;
      return ms;
    },
    end() {
      console.log(`memory at most ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
      for (const fault of faults.slice(0, 10)) console.log(fault);
      console.log(`${faults.length} faults`);
      process.exitCode = faults.length > 0 || slowest > 10_000 ? 1 : 0;
    },
  };
}
