import { lengthOf } from "./config.ts";
import { DEFAULTS } from "./defaults.ts";
import { checkKeys, checkObject, oneOf, wholeNumber } from "./define/options.ts";
import type { ProjectorOptions } from "./define/role.ts";

/** What a projector works with. */
export interface ProjectorChoices {
  readonly batch: number;
  readonly onRegression: "continue" | "pause";
  readonly keepTailMs: number;
  readonly keepTailBytes: number;
  readonly maxTail: number;
  readonly whenFull: "refuse" | "gap";
  /** Undefined: for ever. */
  readonly keepArchiveMs: number | undefined;
  /** Undefined: any. */
  readonly keepArchiveBytes: number | undefined;
}

const projectorKeys = [
  "batch",
  "onRegression",
  "keepTail",
  "keepTailBytes",
  "maxTail",
  "whenFull",
  "keepArchive",
  "keepArchiveBytes",
];
const DAY_MS = 86_400_000;

/** A projector's options and defaults put together. Throws InvalidOption. */
export function projectorSettings(options: ProjectorOptions): ProjectorChoices {
  checkObject("options", options);
  checkKeys("createProjector", options, projectorKeys);
  const {
    batch = DEFAULTS.projectorBatch,
    onRegression = DEFAULTS.onRegression,
    keepArchive,
    keepArchiveBytes,
  } = options;
  const keepTailBytes = options.keepTailBytes ?? DEFAULTS.keepTailBytes;
  return {
    batch: wholeNumber("batch", batch, { least: 1, most: 10_000 }),
    onRegression: oneOf("onRegression", onRegression, ["continue", "pause"]),
    keepTailMs: lengthOf("keepTail", options.keepTail, DEFAULTS.keepTailMs, 0),
    keepTailBytes: wholeNumber("keepTailBytes", keepTailBytes, { least: 0, most: Number.MAX_SAFE_INTEGER }),
    maxTail: wholeNumber("maxTail", options.maxTail ?? DEFAULTS.maxTail, { least: 0, most: Number.MAX_SAFE_INTEGER }),
    whenFull: oneOf("whenFull", options.whenFull ?? DEFAULTS.whenFull, ["refuse", "gap"]),
    keepArchiveMs: keepArchive === undefined ? undefined : lengthOf("keepArchive", keepArchive, 0, DAY_MS),
    keepArchiveBytes:
      keepArchiveBytes === undefined
        ? undefined
        : wholeNumber("keepArchiveBytes", keepArchiveBytes, { least: 1, most: Number.MAX_SAFE_INTEGER }),
  };
}
