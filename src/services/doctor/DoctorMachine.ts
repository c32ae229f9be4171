/**
 * Judges the machine a node is to run on: its clock, its runtime, its ports, the places of its files and the disks
 * below them. Pure. A part of Doctor.
 */
import { finding, type Finding, type Severity } from "../../schema/Finding.ts"

/** A file or directory, and what keeps it from being used. */
export interface PlaceFacts {
  readonly what: "data directory" | "key" | "control file" | "receive folder"
  readonly path: string
  readonly problem: null | "missing" | "noDirectory" | "unreadable" | "unwritable" | "exposed"
  /** Permissions, in octal, where the system has them. */
  readonly mode: string | null
  /** Of the disk below it, or null where it is not known. */
  readonly freeBytes: number | null
  readonly freeFiles: number | null
}

/** A port that a node would take. */
export interface PortFacts {
  readonly what: "TCP" | "UDP"
  readonly port: number
  /** The flag by which another is chosen. */
  readonly flag: "--port" | "--discovery-port"
  /** The system's code, or null: it can be had. */
  readonly code: string | null
}

export interface MachineFacts {
  readonly runtime: string
  readonly isRuntimeOld: boolean
  /** Milliseconds since 1970, by the machine's clock. */
  readonly now: number
  readonly places: ReadonlyArray<PlaceFacts>
  /** Empty while a node runs, which holds them. */
  readonly ports: ReadonlyArray<PortFacts>
}

const mebibyte = 1024 * 1024

/** This program is younger than that. */
const earliest = Date.UTC(2025, 0, 1)
const latest = Date.UTC(2100, 0, 1)

export const diagnoseMachine = (facts: MachineFacts): ReadonlyArray<Finding> => [
  facts.isRuntimeOld
    ? finding("problem", "runtime", "", `this is Node ${facts.runtime}`, "Install Node 22.19 or newer")
    : finding("ok", "runtime", "", `Node ${facts.runtime}`),
  ...clock(facts.now),
  ...facts.places.flatMap(place),
  ...facts.ports.map(port)
]

const clock = (now: number): ReadonlyArray<Finding> =>
  now >= earliest && now <= latest
    ? [finding("ok", "clock", "", new Date(now).toISOString())]
    : [
        finding(
          "problem",
          "clock",
          "",
          `the clock of this machine says ${new Date(now).toISOString()}`,
          "Set it: messages and files carry its time"
        )
      ]

const checks = {
  "data directory": "folder",
  "receive folder": "folder",
  key: "key",
  "control file": "control"
} as const

const place = (facts: PlaceFacts): ReadonlyArray<Finding> => {
  const { mode, path, problem, what } = facts
  const about = (severity: Severity, text: string, remedy: string | null = null) =>
    finding(severity, checks[what], path, checks[what] === "folder" ? `${what}, ${text}` : text, remedy)
  const elsewhere = what === "receive folder" ? "--received" : "--data-dir"
  switch (problem) {
    case "missing":
      return [
        about("ok", what === "receive folder" ? "is made when something comes" : "is made at the first start"),
        ...disk(facts)
      ]
    case "noDirectory":
      return [about("problem", "is not a directory", `Move it away, or choose another with ${elsewhere}`)]
    case "unreadable":
      return [about("problem", "cannot be read", "Make it readable for the user who runs the node")]
    case "unwritable":
      return [
        about("problem", "cannot be written", `Make it writable for this user, or choose another with ${elsewhere}`)
      ]
    case "exposed":
      return [
        what === "data directory"
          ? about("note", `others may look into it (mode ${mode})`, `Run: chmod 700 '${path}'`)
          : about("problem", `others may read it (mode ${mode})`, `Run: chmod 600 '${path}'`)
      ]
    case null:
      return [about("ok", "can be used"), ...disk(facts)]
  }
}

const disk = ({ freeBytes, freeFiles, path, what }: PlaceFacts): ReadonlyArray<Finding> => {
  if (what !== "data directory" && what !== "receive folder") return []
  const remedy = "Make room, or choose a directory on another disk"
  if (freeFiles !== null && freeFiles < 1000) {
    return [finding("problem", "disk", path, `there is room for ${freeFiles} more files only`, remedy)]
  }
  if (freeBytes === null) return []
  const mebibytes = freeBytes / mebibyte
  const free = mebibytes < 1024 ? `${Math.floor(mebibytes)} MiB free` : `${(mebibytes / 1024).toFixed(1)} GiB free`
  if (freeBytes < 100 * mebibyte) return [finding("problem", "disk", path, free, remedy)]
  return [finding(freeBytes < 1024 * mebibyte ? "note" : "ok", "disk", path, free)]
}

const port = ({ code, flag, port, what }: PortFacts): Finding => {
  const subject = `${what} ${port}`
  if (code === null) return finding("ok", "port", subject, "is free")
  const taken = code === "EADDRINUSE"
  return finding(
    // Without a wish of a person, a node takes any other TCP port; announcements have only this one.
    taken && flag === "--port" ? "note" : "problem",
    "port",
    subject,
    taken ? "is taken by another program" : `cannot be had (${code})`,
    `Stop what uses it (ss -lnp shows it), or choose another with ${flag}`
  )
}
