import { invalidOption } from "../errors.ts";
import { shown } from "./options.ts";
import { nearest } from "./spelling.ts";

/** The name of a time zone, checked. Throws InvalidOption, with the nearest name that exists. */
export function checkTimezone(timezone: unknown): string {
  if (typeof timezone !== "string" || timezone.trim() === "") {
    throw invalidOption(
      "timezone",
      `${shown(timezone)} is not a time zone: write an IANA name, such as "Europe/Berlin"`,
    );
  }
  if (/^[+-]/.test(timezone)) {
    throw invalidOption(
      "timezone",
      `"${timezone}" is an offset, and knows no summer time: write an IANA name, such as "Europe/Berlin"`,
    );
  }
  if (isKnown(timezone)) return timezone;
  const meant = probableZone(timezone);
  const hint = meant === undefined ? 'write an IANA name, such as "Europe/Berlin"' : `did you mean "${meant}"?`;
  throw invalidOption("timezone", `${shown(timezone)} is not a time zone: ${hint}`);
}

function isKnown(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
    return true;
  } catch {
    return false;
  }
}

function probableZone(text: string): string | undefined {
  const zones = ["UTC", ...Intl.supportedValuesOf("timeZone")];
  const wanted = text.trim().toLowerCase().replaceAll(" ", "_");
  const byCity = new Map(zones.map((zone) => [zone.split("/").at(-1)?.toLowerCase() ?? zone, zone]));
  const city = byCity.get(wanted) ?? byCity.get(wanted.split("/").at(-1) ?? wanted);
  if (city !== undefined) return city;
  const near = nearest(wanted, zones);
  if (near !== undefined) return near;
  const nearCity = nearest(wanted, byCity.keys());
  return nearCity === undefined ? undefined : byCity.get(nearCity);
}
