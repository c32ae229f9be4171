/** Speeds as a person types and reads them: `500KiB`, `5MB/s`, `none`. Pure. */
import * as Option from "effect/Option"
import { capMin, type CapsChange } from "../schema/Profile.ts"
import { bytes } from "./Output.ts"

const units: Record<string, number> = { "": 1, k: 1e3, m: 1e6, g: 1e9, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30 }

/** What one cap may be. */
export const capAllowed = `none, or a speed such as 500KiB or 5MB (a second, at least ${capMin / 1024}KiB)`

/** Bytes a second; null: no cap; none where it is no speed. */
export const speedOf = (text: string): Option.Option<number | null> => {
  if (text === "none") return Option.some(null)
  const [, number = "", unit = ""] = /^(\d{1,12}(?:\.\d{1,3})?)(|[kmg]i?)b?(?:\/s)?$/i.exec(text) ?? []
  const speed = Math.round(Number(number) * (units[unit.toLowerCase()] ?? Number.NaN))
  return number !== "" && speed >= capMin && Number.isSafeInteger(speed) ? Option.some(speed) : Option.none()
}

/** One speed for both ways, or one for each that is named. */
export const capsOf = (values: ReadonlyArray<string>): Option.Option<CapsChange> => {
  let change: CapsChange = {}
  for (const value of values) {
    const [, way, text = ""] = /^(?:(send|receive)=)?(.+)$/.exec(value) ?? []
    const speed = speedOf(text)
    if (Option.isNone(speed) || (way === undefined && values.length > 1)) return Option.none()
    change = {
      ...change,
      ...(way !== "receive" && { send: speed.value }),
      ...(way !== "send" && { receive: speed.value })
    }
  }
  return Option.some(change)
}

/** A cap as it is told. */
export const told = (cap: number | null): string => (cap === null ? "no cap" : `${bytes(cap)}/s`)
