/** Where a link leads, before it is followed. */
import { Copy, ExternalLink } from "lucide-react"
import { copy } from "../state/Copying.ts"
import { Button } from "./Button.tsx"
import { Dialog } from "./Dialog.tsx"

/** The name of the machine as the network knows it: a name in look-alike letters shows its code here. */
const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : url)

export const LinkDialog = ({ url, onClose }: { readonly url: string; readonly onClose: () => void }) => (
  <Dialog
    title="Open this link?"
    onClose={onClose}
    footer={
      <>
        <Button onClick={() => void copy(url, "The link").then(onClose)}>
          <Copy size={18} aria-hidden />
          Copy
        </Button>
        <Button
          look="main"
          onClick={() => {
            window.open(url, "_blank", "noopener,noreferrer")
            onClose()
          }}
        >
          <ExternalLink size={18} aria-hidden />
          Open
        </Button>
      </>
    }
  >
    <p className="text-muted">A message holds it. It opens in another tab, at</p>
    <p className="mt-1 text-lg font-semibold break-all">{hostOf(url)}</p>
    <p className="mt-4 max-h-48 overflow-y-auto rounded-xl bg-sunken p-3 font-mono text-sm break-all" tabIndex={0}>
      {url}
    </p>
  </Dialog>
)
