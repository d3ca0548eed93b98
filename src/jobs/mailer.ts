/** Mail to people, by SMTP (RFC 5321; submission by TLS: RFC 8314). */

export interface Mail {
  /** one address */
  readonly to: string;
  readonly subject: string;
  /** plain text */
  readonly text: string;
}

export interface Mailer {
  /** Resolves when a mail server has taken it. @throws Error in one line */
  send(mail: Mail): Promise<void>;
}

const SECOND = 1000;

/** What may stand in an address of one person; nothing that would make it several, or end a header. */
const ADDRESS = /^[^\s@<>()[\]\\,;:"\p{C}]{1,64}@[^\s@<>()[\]\\,;:"\p{C}]{1,190}$/u;

export const isAddress = (text: string): boolean => ADDRESS.test(text);

/**
 * @param url  `smtps:`, or `smtp:` with STARTTLS, which only a server on this machine may lack; with user and password where
 *             the server wants them
 * @param from address that it comes from
 */
export function makeMailer(url: URL, from: string): Mailer {
  const { protocol, hostname, port, username, password } = url;
  const isSecure = protocol === 'smtps:';
  const host = hostname.replace(/^\[|\]$/g, '');
  const options = {
    host,
    port: Number(port) || (isSecure ? 465 : 587),
    secure: isSecure,
    // Links in it are as good as passwords.
    requireTLS: !isSecure && !LOCAL.has(host),
    ...(username === ''
      ? {}
      : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: 10 * SECOND,
    greetingTimeout: 10 * SECOND,
    socketTimeout: 20 * SECOND,
    // The text is all there is of a mail: nothing in it is fetched.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  return {
    async send({ to, subject, text }) {
      if (!isAddress(to)) throw new Error('this is not one address of mail');
      // Loaded with the first mail: it takes a tenth of a second.
      const { createTransport } = await import('nodemailer');
      try {
        await createTransport(options).sendMail({ from, to: { address: to, name: '' }, subject, text });
      } catch (fault) {
        throw new Error(`the mail server does not take it: ${(fault as Error).message.replace(/\s+/g, ' ')}`);
      }
    },
  };
}

const LOCAL: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);
