/** Files on their way from this page to its node; from there on the node goes on by itself. */
import { LaptopMinimal, RotateCcw, X } from "lucide-react"
import { inert } from "../../schema/Text.ts"
import { again, stop, type Upload } from "../state/Uploads.ts"
import { contents, size } from "../text/format.ts"
import { Button, IconButton } from "./Button.tsx"
import { Name } from "./PeerName.tsx"
import { Progress } from "./Progress.tsx"

export const UploadCard = ({ upload }: { readonly upload: Upload }) => {
  const { bytes, picked, problem, state } = upload
  const failed = state === "failed"
  return (
    <article
      aria-label={`${inert(picked.name)}, handing over`}
      className="rounded-card border border-line bg-raised p-4"
    >
      <div className="flex items-start gap-3">
        <span
          aria-hidden
          className={`grid size-9 shrink-0 place-items-center rounded-xl ${failed ? "bg-danger-soft text-danger" : "bg-accent-soft text-accent-ink"}`}
        >
          <LaptopMinimal size={18} />
        </span>
        <div className="min-w-0 flex-1">
          <p className="flex font-medium">
            <Name text={picked.name} />
          </p>
          <p className="text-sm text-muted">
            {failed
              ? "Not handed over"
              : `Handing over to the node; keep this page open · ${contents({ files: picked.files.length, directories: picked.directories.length })}`}
          </p>
        </div>
        <IconButton className="-mt-1 -mr-2" label={failed ? "Put away" : "Stop"} onClick={() => stop(upload.id)}>
          <X size={18} aria-hidden />
        </IconButton>
      </div>
      <div className="mt-3">
        <Progress
          label={`${inert(picked.name)}: handed over`}
          value={picked.bytes === 0 ? undefined : bytes / picked.bytes}
          look={failed ? "failed" : "running"}
        />
      </div>
      <p className="mt-2 text-sm text-muted tabular-nums">
        {size(bytes)} of {size(picked.bytes)}
      </p>
      {problem !== null && (
        <div className="mt-2">
          <p className="text-sm break-words text-danger">{problem}</p>
          <Button className="mt-3" onClick={() => again(upload.id)}>
            <RotateCcw size={16} aria-hidden />
            Try again
          </Button>
        </div>
      )}
    </article>
  )
}
