// Sets this process' wall clock wrong by CRASH_CLOCK_MS, for all that asks for the time through `Date`. To be imported first.
const offset = Number(process.env.CRASH_CLOCK_MS ?? 0);

if (offset !== 0) {
  const RealDate = Date;
  const now = () => RealDate.now() + offset;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, given, as) => Reflect.construct(target, given.length === 0 ? [now()] : given, as) as Date,
    apply: () => new RealDate(now()).toString(),
    get: (target, name, receiver) => (name === "now" ? now : Reflect.get(target, name, receiver)),
  });
}
