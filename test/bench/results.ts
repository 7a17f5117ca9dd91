import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { markdown, type Table } from './table.ts';

const file = fileURLToPath(new URL('RESULTS.md', import.meta.url));

/** Where and when: cores, processor, memory, versions. */
export function machine(): string {
  const cores = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const date = new Date().toISOString().slice(0, 10);
  return `${date}; ${cores.length} x ${cores[0]?.model.trim()}, ${memory} GiB; ${type()} ${release()}; Node ${process.version}`;
}

/** Put tables into RESULTS.md, each in the place of its predecessor; what is written between them by hand stays. */
export function writeResults(tables: ReadonlyMap<string, Table>): void {
  let text = existsSync(file) ? readFileSync(file, 'utf8') : '# Results\n';
  for (const [name, table] of tables) {
    const section = `<!-- ${name} -->\n${markdown(table)}\nMeasured ${machine()}\n<!-- end ${name} -->`;
    const begin = text.indexOf(`<!-- ${name} -->`);
    const endMark = `<!-- end ${name} -->`;
    const end = text.indexOf(endMark);
    if (begin === -1 || end === -1) text = `${text.trimEnd()}\n\n${section}\n`;
    else text = text.slice(0, begin) + section + text.slice(end + endMark.length);
  }
  writeFileSync(file, text);
}
