import { inWords, isRecord } from '../core/options.ts';
import { kindOf, problemOfName } from './names.ts';
import { isPattern, isPrivate, PatternIndex } from './pattern.ts';

/** What clients may do with a topic: nothing, subscribe to it, send to it, or both. */
export type Access = 'none' | 'read' | 'write' | 'readwrite';

/** The same for the clients of every protocol, or for each protocol by its name; one that is not named has `none`. */
export type ClientAccess = Access | { readonly [protocol: string]: Access | undefined };

/** What a client wants to do with a topic. */
export type Operation = 'read' | 'write';

/** Names and families that clients may use without a declaration; `true`: all of them. */
export type OpenTopics = boolean | { readonly [nameOrFamily: string]: ClientAccess | undefined };

/** What a declaration says beside the name. */
export interface DeclareOptions {
  /**
   * What clients may do with the topics of this name or family.
   *
   * @defaultValue `'none'`
   */
  readonly clients?: ClientAccess | undefined;
}

const accesses: readonly unknown[] = ['none', 'read', 'write', 'readwrite'] satisfies Access[];
const wanted = `'none', 'read', 'write', 'readwrite', or these by protocol such as { stomp: 'read' }`;

/**
 * What the caller gave, as something that nobody can change. Throws a `TypeError` if it is no access; `owner` goes before.
 *
 * @example
 * clientAccessOf({ stomp: 'read' }, 'topic("prices"): clients');
 */
export function clientAccessOf(given: unknown, owner: string): ClientAccess {
  if (given === undefined) return 'none';
  if (accesses.includes(given)) return given as Access;
  if (!isRecord(given)) {
    throw new TypeError(`${owner} must be ${wanted}; got ${typeof given === 'string' ? `'${given}'` : kindOf(given)}`);
  }
  for (const [protocol, access] of Object.entries(given)) {
    if (access === undefined || accesses.includes(access)) continue;
    const got = typeof access === 'string' ? `'${access}'` : kindOf(access);
    throw new TypeError(`${owner}.${protocol} must be 'none', 'read', 'write' or 'readwrite'; got ${got}`);
  }
  return Object.isFrozen(given) ? (given as ClientAccess) : (Object.freeze({ ...given }) as ClientAccess);
}

/** An access as it is written in source. Two accesses are the same when their texts are. */
export function accessText(access: ClientAccess): string {
  if (typeof access === 'string') return `'${access}'`;
  const given = Object.entries(access).filter(([, each]) => each !== undefined && each !== 'none');
  if (given.length === 0) return "'none'";
  return `{ ${given
    .map(([protocol, each]) => `${protocol}: '${each}'`)
    .sort()
    .join(', ')} }`;
}

function allows(access: ClientAccess, protocol: string, operation: Operation): boolean {
  const own = typeof access === 'string' ? access : Object.hasOwn(access, protocol) ? access[protocol] : undefined;
  return own === 'readwrite' || own === operation;
}

/** A name or family with its access. */
interface Rule {
  readonly name: string;
  readonly access: ClientAccess;
}

/** Rules by name and by family. An exact name goes before every family, and a narrow family before a wide one. */
class RuleTable {
  readonly #names = new Map<string, Rule>();
  readonly #families = new PatternIndex<Rule>();

  get size(): number {
    return this.#names.size + this.#families.size;
  }

  get(name: string): Rule | undefined {
    return isPattern(name) ? this.#families.get(name) : this.#names.get(name);
  }

  add(rule: Rule): void {
    if (isPattern(rule.name)) this.#families.set(rule.name, rule);
    else this.#names.set(rule.name, rule);
  }

  /** The access of a topic; undefined: no rule is about it. */
  of(topic: string): ClientAccess | undefined {
    const own = this.#names.get(topic);
    if (own) return own.access;
    if (this.#families.size === 0) return undefined;
    let narrowest: Rule | undefined;
    for (const rule of this.#families.match(topic)) {
      if (!narrowest || isNarrower(rule.name, narrowest.name)) narrowest = rule;
    }
    return narrowest?.access;
  }
}

/** Of two families that match the same topic: the first wildcard further behind, and `*` before `**`. */
function isNarrower(family: string, other: string): boolean {
  const path = family.split(/[./]/);
  const otherPath = other.split(/[./]/);
  for (let index = 0; index < path.length; index++) {
    const [one, two] = [breadthOf(path[index]), breadthOf(otherPath[index])];
    if (one !== two) return one < two;
  }
  return false;
}

const breadthOf = (segment: string | undefined): number =>
  segment === '**' || segment === undefined ? 2 : segment === '*' ? 1 : 0;

/**
 * Who may read and write the topics of a bus. A topic is closed to the clients of every protocol unless a declaration,
 * or `open` for those that are not declared, says otherwise. Names that begin with `$` are always closed.
 */
export class AccessRules {
  /** Another number whenever the answer of `permits` may have changed. */
  version = 0;
  readonly #declared = new RuleTable();
  readonly #open = new RuleTable();
  // What servers tell each other is no protocol's.
  readonly #claims = new Map([['$bus/', 'the bus itself']]);

  /** Throws a `TypeError` that names what is wrong with `open`. */
  constructor(open: OpenTopics | undefined) {
    if (open === undefined || open === false) return;
    const table = open === true ? { '**': 'readwrite' as const } : open;
    if (!isRecord(table)) {
      throw new TypeError(`open must be true or names such as { 'chat.**': 'readwrite' }; got ${kindOf(open)}`);
    }
    for (const [name, access] of Object.entries(table)) {
      assertPublicName(name, `open: "${name}"`);
      this.#open.add({ name, access: clientAccessOf(access, `open["${name}"]`) });
    }
  }

  /** How many names and families are declared. */
  get declared(): number {
    return this.#declared.size;
  }

  /**
   * Declare a name or a family. Throws a `TypeError` if the name is no good, or if it is declared already with another
   * access.
   */
  declare(name: string, access: ClientAccess): void {
    assertPublicName(name, `declare("${name}")`);
    const known = this.#declared.get(name);
    if (!known) {
      this.#declared.add({ name, access });
      this.version++;
      return;
    }
    const [before, now] = [accessText(known.access), accessText(access)];
    if (before === now) return;
    throw new TypeError(`"${name}" is declared with clients: ${before} already, and now with clients: ${now}`);
  }

  /** The access of a declared name, or of the narrowest declared family that it belongs to. */
  declaredAccess(name: string): ClientAccess | undefined {
    return this.#declared.of(name);
  }

  /**
   * Reserve the names that begin with `prefix` for one protocol. Throws a `TypeError` if the prefix does not begin with
   * `$`, or if another protocol has it, or has a part of it.
   */
  claim(prefix: string, protocol: string): void {
    if (typeof prefix !== 'string' || !isPrivate(prefix) || prefix === '$') {
      throw new TypeError(`claim() takes a prefix that begins with $, such as '$user/'; got ${inWords(prefix)}`);
    }
    if (typeof protocol !== 'string' || protocol === '') {
      throw new TypeError(`claim('${prefix}') needs the name of a protocol, such as 'stomp'; got ${kindOf(protocol)}`);
    }
    for (const [other, owner] of this.#claims) {
      if (owner !== protocol && (other.startsWith(prefix) || prefix.startsWith(other))) {
        throw new TypeError(`'${prefix}' cannot belong to ${protocol}: '${other}' belongs to ${owner} on this bus`);
      }
    }
    this.#claims.set(prefix, protocol);
  }

  /** May clients of this protocol do that with this topic? */
  permits(name: string, protocol: string, operation: Operation): boolean {
    if (isPrivate(name)) return false;
    const access = this.#declared.of(name) ?? this.#open.of(name);
    return access !== undefined && allows(access, protocol, operation);
  }
}

/**
 * Why a client may not use a topic, with the three ways out for the author of the server.
 *
 * @example
 * closedTopic('prices', 'read'); // 'clients may not read the topic "prices": declare it with …'
 */
export function closedTopic(name: string, operation: Operation): string {
  const shown = name.length > 64 ? `${name.slice(0, 64)}…` : name;
  if (isPrivate(name)) return `the topic "${shown}" is private, as all names that begin with $`;
  return (
    `clients may not ${operation} the topic "${shown}": declare it with { clients: '${operation}' }, ` +
    `open it with createBus({ open: { '${shown}': '${operation}' } }), or let authorize answer true`
  );
}

function assertPublicName(name: unknown, owner: string): void {
  const problem = problemOfName(name);
  if (problem !== undefined) throw new TypeError(`${owner}: a name ${problem}`);
  if ((name as string).startsWith('/')) {
    throw new TypeError(`${owner}: a name does not begin with /; for STOMP, "prices" is /topic/prices`);
  }
  if (isPrivate(name as string)) {
    throw new TypeError(`${owner}: names that begin with $ are private and are never open to clients`);
  }
}
