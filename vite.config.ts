/**
 * Builds the page, src/web, into dist/web, from where the node serves it. Nothing is inlined as a data URL or a
 * script: the page runs under a content security policy that allows only files of its own origin.
 */
import tailwindcss from "@tailwindcss/vite"
import react from "@vitejs/plugin-react"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { defineConfig, type Plugin } from "vite"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** What a first visit may load of scripts, after gzip, in bytes. */
const firstMax = 200_000

/** Prints what the page weighs, and fails the build where a first visit loads too much. */
const weigh: Plugin = {
  name: "weigh",
  generateBundle(_, bundle) {
    let first = 0
    let all = 0
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== "chunk") continue
      const bytes = gzipSync(chunk.code, { level: 9 }).length
      all += bytes
      if (chunk.isEntry) first += bytes
    }
    process.stdout.write(
      `page: ${(first / 1000).toFixed(1)} kB of scripts first, ${(all / 1000).toFixed(1)} kB in all (gzip)\n`
    )
    if (first > firstMax) this.error(`a first visit loads more than ${firstMax} bytes of scripts`)
  }
}

export default defineConfig({
  root: at("src/web"),
  base: "/",
  plugins: [react(), tailwindcss(), weigh],
  build: {
    outDir: at("dist/web"),
    emptyOutDir: true,
    target: "es2024",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What a visitor loads: the build prints each file with its size after gzip.
    reportCompressedSize: true,
    chunkSizeWarningLimit: 700
  }
})
