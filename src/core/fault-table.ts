import { CloseCode, type Fault, type FaultTable, isSendableCode } from './fault.ts';

/** What a protocol without codes of its own closes with, and says. */
const defaults: FaultTable = {
  malformed: row(CloseCode.protocolError, 'Malformed message'),
  unacceptable: row(CloseCode.protocolError, 'Not spoken here'),
  unauthorized: row(CloseCode.policyViolation, 'Unauthorized'),
  forbidden: row(CloseCode.policyViolation, 'Forbidden'),
  expired: row(CloseCode.policyViolation, 'The credentials have expired'),
  initTimeout: row(CloseCode.policyViolation, 'Nobody said who they are'),
  heartbeat: row(CloseCode.heartbeatTimeout, 'Silent for too long'),
  duplicate: row(CloseCode.policyViolation, 'In use already'),
  tooLarge: row(CloseCode.tooLarge, 'Too large'),
  tooMany: row(CloseCode.tryAgainLater, 'Too many'),
  tooSlow: row(CloseCode.tryAgainLater, 'Reading too slowly'),
  unavailable: row(CloseCode.tryAgainLater, 'Not available'),
  goingAway: row(CloseCode.goingAway, 'Going away'),
  internal: row(CloseCode.internalError, 'Internal error'),
};

function row(code: number, words: string): FaultTable[Fault] {
  return { code, reason: (detail) => (detail === undefined ? words : `${words}: ${detail}`) };
}

/**
 * How each fault looks in a close frame: as usual, but for those that a protocol has a code for, or a code and words.
 *
 * Throws a `TypeError` for a fault that there is not, and for a code that no close frame may have.
 *
 * @example
 * const faults = faultTable({ malformed: 4400, duplicate: [4409, 'This room is taken'] });
 */
export function faultTable(
  own: { readonly [Each in Fault]?: number | readonly [code: number, words: string] } = {},
): FaultTable {
  const table: Record<Fault, FaultTable[Fault]> = { ...defaults };
  for (const [name, given] of Object.entries(own)) {
    if (!Object.hasOwn(defaults, name)) {
      throw new TypeError(`faultTable() knows no fault "${name}". There are: ${Object.keys(defaults).join(', ')}`);
    }
    const [code, words] = typeof given === 'number' ? [given] : given;
    if (!isSendableCode(code))
      throw new TypeError(`faultTable(): ${name} needs a code that a close frame may have; got ${code}`);
    const fault = name as Fault;
    table[fault] = words === undefined ? { ...defaults[fault], code } : row(code, words);
  }
  return table;
}
