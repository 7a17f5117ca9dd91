/** Something that the tested side did, as the other side sees it. */
export type Observed =
  | {
      readonly kind: 'frame';
      readonly command: string;
      readonly headers: ReadonlyMap<string, string>;
      readonly body: string;
    }
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'raw'; readonly text: string }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }
  | { readonly kind: 'open'; readonly protocol: string }
  | { readonly kind: 'gone' | 'ping' };

/**
 * Frames out of what a STOMP peer sends; header values stay as they are on the wire. Written apart from the codec, so
 * that an error there shows.
 */
export class FrameReader {
  #bytes = Buffer.alloc(0);

  read(data: string | Uint8Array): Observed[] {
    this.#bytes = Buffer.concat([this.#bytes, Buffer.from(data as Uint8Array)]);
    const found: Observed[] = [];
    for (let next = this.#next(); next; next = this.#next()) found.push(next);
    return found;
  }

  #next(): Observed | undefined {
    const bytes = this.#bytes;
    if (bytes.length === 0) return undefined;
    if (bytes[0] === 10) {
      this.#bytes = bytes.subarray(1);
      return { kind: 'raw', text: '\n' };
    }
    const blank = bytes.indexOf('\n\n');
    if (blank < 0) return undefined;
    const [command = '', ...lines] = bytes.toString('utf8', 0, blank).split('\n');
    const headers = new Map<string, string>();
    for (const line of lines) {
      const name = line.slice(0, line.indexOf(':'));
      if (!headers.has(name)) headers.set(name, line.slice(name.length + 1));
    }
    const length = headers.get('content-length');
    const end = length === undefined ? bytes.indexOf(0, blank) : blank + 2 + Number(length);
    if (end < 0 || end >= bytes.length) return undefined;
    if (bytes[end] !== 0) throw new Error(`content-length:${length} of ${command} is not followed by a NUL`);
    this.#bytes = bytes.subarray(end + 1);
    return { kind: 'frame', command, headers, body: bytes.toString('latin1', blank + 2, end) };
  }
}

/** A message of graphql-transport-ws. */
export function readJson(data: string | Uint8Array): Observed {
  const text = typeof data === 'string' ? data : Buffer.from(data).toString();
  try {
    return { kind: 'json', value: JSON.parse(text) };
  } catch {
    return { kind: 'raw', text };
  }
}

/** As a line of a transcript. */
export function show(observed: Observed | undefined): string {
  if (observed === undefined) return 'nothing';
  switch (observed.kind) {
    case 'frame': {
      const headers = [...observed.headers].map(([name, value]) => ` ${name}:${value.replaceAll(' ', '<SP>')}`);
      return `${observed.command}${headers.join('')}${observed.body === '' ? '' : ` | ${observed.body}`}`;
    }
    case 'json':
      return JSON.stringify(observed.value);
    case 'raw':
      return `> ${observed.text.replaceAll('\n', '<LF>').replaceAll('\0', '<NUL>')}`;
    case 'close':
      return `close ${observed.code} ${observed.reason}`.trimEnd();
    case 'open':
      return `open ${observed.protocol}`;
    default:
      return observed.kind;
  }
}
