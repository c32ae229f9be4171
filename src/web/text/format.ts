/** Sizes, speeds, dates and spans of time as the person's own language writes them. */

const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const

/** The largest unit in which the number is at least one. */
const scaled = (bytes: number): readonly [number, (typeof units)[number]] => {
  let value = bytes
  let at = 0
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1000
    at += 1
  }
  return [value, units[at] ?? "byte"]
}

const formats = new Map<string, Intl.NumberFormat>()

const inUnit = (value: number, unit: string): string => {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : 1
  const key = `${unit} ${digits}`
  const format =
    formats.get(key) ??
    new Intl.NumberFormat(undefined, {
      style: "unit",
      unit,
      unitDisplay: unit === "byte" ? "long" : "short",
      maximumFractionDigits: digits
    })
  formats.set(key, format)
  return format.format(value)
}

export const size = (bytes: number): string => inUnit(...scaled(bytes))

export const speed = (bytesPerSecond: number): string => {
  const [value, unit] = scaled(bytesPerSecond)
  return inUnit(value, `${unit}-per-second`)
}

const counts = new Intl.NumberFormat()
export const count = (value: number): string => counts.format(value)

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" })
export const time = (millis: number): string => clock.format(millis)

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" })
export const moment = (millis: number): string => full.format(millis)

const days = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" })
const years = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" })

const startOfDay = (millis: number): number => new Date(millis).setHours(0, 0, 0, 0)

/** The day of a moment, seen from another: today, yesterday, a weekday, a date. */
export const day = (millis: number, now: number): string => {
  const ago = Math.round((startOfDay(now) - startOfDay(millis)) / 86_400_000)
  if (ago === 0 || ago === 1) return capital(relative.format(-ago, "day"))
  return new Date(millis).getFullYear() === new Date(now).getFullYear() ? days.format(millis) : years.format(millis)
}

/** As the beginning of a sentence. */
export const capital = (text: string): string => text.charAt(0).toLocaleUpperCase() + text.slice(1)

export const sameDay = (a: number, b: number): boolean => startOfDay(a) === startOfDay(b)

/** How long ago, roughly. */
export const ago = (millis: number, now: number): string => {
  const seconds = Math.max(0, (now - millis) / 1000)
  if (seconds < 90) return relative.format(0, "minute")
  if (seconds < 5_400) return relative.format(-Math.round(seconds / 60), "minute")
  if (seconds < 129_600) return relative.format(-Math.round(seconds / 3_600), "hour")
  return relative.format(-Math.round(seconds / 86_400), "day")
}

/** A span of time in at most two units: "2 min 5 sec". */
export const span = (seconds: number): string => {
  const whole = Math.max(1, Math.round(seconds))
  const parts: ReadonlyArray<readonly [number, string]> = [
    [Math.floor(whole / 86_400), "day"],
    [Math.floor(whole / 3_600) % 24, "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60, "second"]
  ]
  const first = parts.findIndex(([value]) => value > 0)
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => inUnit(value, unit))
    .join(" ")
}

/** "3 files, 1 folder". */
export const contents = ({ directories, files }: { readonly files: number; readonly directories: number }): string => {
  const parts = [
    files > 0 || directories === 0 ? `${count(files)} ${files === 1 ? "file" : "files"}` : "",
    directories > 0 ? `${count(directories)} ${directories === 1 ? "folder" : "folders"}` : ""
  ]
  return parts.filter((part) => part !== "").join(", ")
}
