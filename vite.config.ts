/**
 * Builds the page, src/web, into dist/web, from where the node serves it. Nothing is inlined as a data URL or a
 * script: the page runs under a content security policy that allows only files of its own origin.
 */
import tailwindcss from "@tailwindcss/vite"
import react from "@vitejs/plugin-react"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vite"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  root: at("src/web"),
  base: "/",
  plugins: [react(), tailwindcss()],
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
