/** Writes the table of limits into docs/SECURITY.md, where a test keeps it true. */
import { readFileSync, writeFileSync } from "node:fs"
import { table } from "../test/hostile/LimitsTable.ts"

const path = new URL("../docs/SECURITY.md", import.meta.url)
const page = readFileSync(path, "utf8")
writeFileSync(
  path,
  page.replace(/(?<=<!-- limits -->\n)[^]*?(?=\n<!-- \/limits -->)/, () => table)
)
