/** Where received files are, to be copied: a page in a browser cannot open a folder. */
import { Copy, FolderCheck } from "lucide-react"
import { inert } from "../../schema/Text.ts"
import { copy } from "../state/Copying.ts"
import { IconButton } from "./Button.tsx"

const shown = 3

/** Where the last name of a path begins, with the separator before it. */
const endOf = (path: string): number => Math.max(0, path.lastIndexOf("/"), path.lastIndexOf("\\"))

export const Published = ({ paths }: { readonly paths: ReadonlyArray<string> }) => (
  <ul className="mt-2 flex flex-col" aria-label="Where it is">
    {paths.slice(0, shown).map((path) => (
      <li key={path} className="flex items-center gap-2 rounded-xl bg-sunken pl-3">
        <FolderCheck size={16} className="shrink-0 text-muted" aria-hidden />
        {/* What is cut off where there is no room is the way, not the name at its end. */}
        <span className="flex min-w-0 flex-1 font-mono text-xs" title={inert(path)}>
          <bdi className="min-w-4 truncate text-muted">{inert(path.slice(0, endOf(path)))}</bdi>
          <bdi className="max-w-[75%] shrink-0 truncate">{inert(path.slice(endOf(path)))}</bdi>
        </span>
        <IconButton label="Copy the path" onClick={() => void copy(path, "The path")}>
          <Copy size={16} aria-hidden />
        </IconButton>
      </li>
    ))}
    {paths.length > shown && <li className="pt-1 text-sm text-muted">and {paths.length - shown} more beside it</li>}
  </ul>
)
