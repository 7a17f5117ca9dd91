import type { Balance } from './ledger.ts';
import type { Scenario } from './scenarios.ts';

/** Bad days that still do harm, with what was measured. Nothing may stay here: the runner says each aloud. */
export const pending: Readonly<Record<string, string>> = {};

/** What of it must not be. */
export function judge({ tells = false }: Pick<Scenario, 'tells'>, balance: Balance): string[] {
  const { confirmed, received, lost, doubled, swapped, saidAloud } = balance;
  const problems: string[] = [];
  if (confirmed === 0) problems.push('nothing was confirmed');
  if (received === 0) problems.push('nothing was received');
  if (lost > 0) problems.push(`${lost} lost, and nobody was told`);
  if (doubled > 0) problems.push(`${doubled} came twice`);
  if (swapped > 0) problems.push(`${swapped} came out of order`);
  if (saidAloud > 0 && !tells) problems.push(`${saidAloud} missing, though nothing was broken`);
  return problems;
}
