/** Attacks that still do harm, with what was measured. Nothing may stay here: the runner says each aloud. */
export const pending: Readonly<Record<string, string>> = {};
