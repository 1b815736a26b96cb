/** What the doctor found: a fact, how bad it is, and what to do. */
export interface Finding {
  readonly area: "Redis" | "Postgres" | "clocks" | "streams" | "crons" | "settings";
  readonly level: "ok" | "warn" | "fail";
  readonly what: string;
  readonly advice?: string | undefined;
}

/** Makes findings of one area. */
export function findings(area: Finding["area"]) {
  return {
    ok: (what: string): Finding => ({ area, level: "ok", what }),
    warn: (what: string, advice: string): Finding => ({ area, level: "warn", what, advice }),
    fail: (what: string, advice: string): Finding => ({ area, level: "fail", what, advice }),
  };
}
