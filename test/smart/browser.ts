/** As much of a browser as forms without script need: cookies with their paths, redirects, fields. */

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

export interface Shown {
  readonly url: string;
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

export interface Filled {
  readonly [name: string]: string | readonly string[];
}

export class Browser {
  readonly #origin: string;
  #cookies: Cookie[] = [];

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** Names of the cookies it holds. */
  get cookies(): string[] {
    return this.#cookies.map(({ name }) => name);
  }

  /** The value of a cookie. */
  cookie(name: string): string | undefined {
    return this.#cookies.find((one) => one.name === name)?.value;
  }

  /** Goes to a URL, and on as it is redirected; where that leads away from the server, it stops there. */
  async open(url: string, init: RequestInit = {}): Promise<Shown> {
    let next = new URL(url, this.#origin);
    let request = init;
    for (let hops = 0; hops < 20; hops++) {
      if (next.origin !== this.#origin)
        return { url: next.href, status: 0, text: '', headers: new Headers() };
      const answer = await fetch(next, {
        ...request,
        redirect: 'manual',
        headers: { ...(request.headers as Record<string, string>), cookie: this.#cookiesFor(next.pathname) },
      });
      this.#keep(answer.headers.getSetCookie());
      const location = answer.headers.get('location');
      if (answer.status < 300 || answer.status >= 400 || location === null)
        return { url: next.href, status: answer.status, text: await answer.text(), headers: answer.headers };
      next = new URL(location, next);
      request = {};
    }
    throw new Error('redirected in circles');
  }

  /**
   * Submits the form of a page whose action ends so, with what it holds.
   *
   * @param fields that are filled in; a list for several of one name. A checkbox that is not named keeps what it shows
   */
  submit(page: Shown, action: string, fields: Filled = {}): Promise<Shown> {
    const { target, body } = this.fill(page, action, fields);
    return this.open(target, { method: 'POST', body, headers: { origin: this.#origin } });
  }

  /** The same, not sent yet. */
  fill({ text, url }: Shown, action: string, fields: Filled = {}): { target: string; body: URLSearchParams } {
    const form = [...text.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)].find(([, head = '']) =>
      new RegExp(`method="post" action="[^"]*${action}"`).test(head),
    );
    if (!form) throw new Error(`there is no form ${action} on ${url}: ${text}`);
    const [, head = '', inner = ''] = form;
    const target = unescaped(/action="([^"]*)"/.exec(head)?.[1] ?? '');
    const body = new URLSearchParams();
    for (const [tag] of inner.matchAll(/<input\b[^>]*>/g)) {
      const name = attribute(tag, 'name');
      const isTick = attribute(tag, 'type') === 'checkbox';
      if (name === undefined || name in fields || (isTick && !/\schecked\b/.test(tag))) continue;
      body.append(name, attribute(tag, 'value') ?? '');
    }
    for (const [name, value] of Object.entries(fields))
      for (const one of typeof value === 'string' ? [value] : value) body.append(name, one);
    return { target, body };
  }

  #cookiesFor(path: string): string {
    return this.#cookies
      .filter((cookie) => path.startsWith(cookie.path))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  #keep(lines: readonly string[]): void {
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      const path = /;\s*path=([^;]+)/i.exec(line)?.[1] ?? '/';
      this.#cookies = this.#cookies.filter((one) => one.name !== name || one.path !== path);
      if (value !== '' && !/expires=Thu, 01 Jan 1970/i.test(line)) this.#cookies.push({ name, value, path });
    }
  }
}

function attribute(tag: string, name: string): string | undefined {
  const found = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
  return found === undefined ? undefined : unescaped(found);
}

function unescaped(text: string): string {
  return text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}
