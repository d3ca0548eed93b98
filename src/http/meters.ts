/** Counts of what was asked and answered, for /metrics (Prometheus text format 0.0.4). */

export interface Meters {
  /** @param route pattern, of which there are few; never what a client wrote */
  count(method: string, route: string, status: number, milliseconds: number): void;
  text(): string;
}

interface Series {
  readonly labels: string;
  requests: number;
  seconds: number;
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Meters that stand at zero. */
export function makeMeters(): Meters {
  const byKey = new Map<string, Series>();
  return {
    count(method, route, status, milliseconds) {
      const key = `${method} ${route} ${status}`;
      let series = byKey.get(key);
      if (!series) {
        // a made-up method must not make a series
        if (!METHODS.has(method)) return;
        series = {
          labels: `method="${method}",route="${route}",status="${status}"`,
          requests: 0,
          seconds: 0,
        };
        byKey.set(key, series);
      }
      series.requests++;
      series.seconds += milliseconds / 1000;
    },
    text() {
      const all = [...byKey.values()];
      const { rss, heapUsed } = process.memoryUsage();
      return [
        '# HELP consilium_http_requests_total Requests answered.',
        '# TYPE consilium_http_requests_total counter',
        ...all.map(({ labels, requests }) => `consilium_http_requests_total{${labels}} ${requests}`),
        '# HELP consilium_http_request_seconds_total Time spent answering them.',
        '# TYPE consilium_http_request_seconds_total counter',
        ...all.map(
          ({ labels, seconds }) => `consilium_http_request_seconds_total{${labels}} ${seconds.toFixed(6)}`,
        ),
        '# HELP process_resident_memory_bytes Memory of this process.',
        '# TYPE process_resident_memory_bytes gauge',
        `process_resident_memory_bytes ${rss}`,
        '# HELP nodejs_heap_used_bytes Heap in use.',
        '# TYPE nodejs_heap_used_bytes gauge',
        `nodejs_heap_used_bytes ${heapUsed}`,
        '# HELP process_uptime_seconds Time since the start.',
        '# TYPE process_uptime_seconds gauge',
        `process_uptime_seconds ${process.uptime().toFixed(0)}`,
        '',
      ].join('\n');
    },
  };
}
