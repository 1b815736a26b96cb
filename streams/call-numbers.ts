/** A call's number, to be given back with `done`. */
export interface NumberedCall {
  readonly number: number;
  done(): void;
}

/** A slot that a call is in, and who waits for it, oldest first. */
interface Slot {
  readonly waiting: (() => void)[];
}

/** Numbers calls from one on, so that of those on their way no two are of one slot (the number modulo `slotCount`). What comes to a slot that is taken waits for the one before it; as a rule none does, and no promise is made. */
export function createCallNumbers(slotCount: number): () => NumberedCall | Promise<NumberedCall> {
  const slots: (Slot | undefined)[] = Array.from({ length: slotCount });
  let last = 0;
  const give = (number: number): NumberedCall => {
    const at = number % slotCount;
    let isDone = false;
    return {
      number,
      done() {
        if (isDone) return;
        isDone = true;
        const next = slots[at]?.waiting.shift();
        if (next === undefined) slots[at] = undefined;
        else next();
      },
    };
  };
  return () => {
    const number = ++last;
    const slot = slots[number % slotCount];
    if (slot !== undefined) return new Promise((resolve) => slot.waiting.push(() => resolve(give(number))));
    slots[number % slotCount] = { waiting: [] };
    return give(number);
  };
}
