/** Where received files are, to be copied: a page in a browser cannot open a folder. */
import { Copy, FolderCheck } from "lucide-react"
import { inert } from "../../schema/Text.ts"
import { copy } from "../state/Copying.ts"
import { IconButton } from "./Button.tsx"

const shown = 3

export const Published = ({ paths }: { readonly paths: ReadonlyArray<string> }) => (
  <ul className="mt-2 flex flex-col" aria-label="Where it is">
    {paths.slice(0, shown).map((path) => (
      <li key={path} className="flex items-center gap-2 rounded-xl bg-sunken pl-3">
        <FolderCheck size={16} className="shrink-0 text-muted" aria-hidden />
        <bdi className="min-w-0 flex-1 truncate font-mono text-xs" title={inert(path)}>
          {inert(path)}
        </bdi>
        <IconButton label="Copy the path" onClick={() => void copy(path, "The path")}>
          <Copy size={16} aria-hidden />
        </IconButton>
      </li>
    ))}
    {paths.length > shown && <li className="pt-1 text-sm text-muted">and {paths.length - shown} more beside it</li>}
  </ul>
)
