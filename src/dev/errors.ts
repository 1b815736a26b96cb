/** Something about this machine or this call is not as it must be. The message says what to do; no stack is shown. */
export class DevError extends Error {
  override readonly name = "DevError";
  /** As in sysexits.h: 1 in general, 69 when a service cannot be reached. */
  readonly exitCode: number;

  constructor(message: string, options: ErrorOptions & { readonly exitCode?: number } = {}) {
    super(message, options);
    this.exitCode = options.exitCode ?? 1;
  }
}
