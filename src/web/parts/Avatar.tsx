/** The picture of a key: its hue and its pattern come from the id, so that a copied name does not look the same. */
import type { CSSProperties } from "react"
import type { PeerId } from "../../schema/PeerId.ts"

const digits = "abcdefghijklmnopqrstuvwxyz234567"
const digit = (id: PeerId, at: number): number => digits.indexOf(id.charAt(at))

/** Cells of a 5 by 5 square, mirrored, of which the id chooses about half. */
const cells = (id: PeerId): ReadonlyArray<readonly [number, number]> => {
  const chosen: Array<readonly [number, number]> = []
  for (let row = 0; row < 5; row++) {
    for (let column = 0; column < 3; column++) {
      if (digit(id, 22 + row * 3 + column) % 2 === 0) continue
      chosen.push([column, row])
      if (column < 2) chosen.push([4 - column, row])
    }
  }
  return chosen
}

export const Avatar = ({ id, size = 40 }: { readonly id: PeerId; readonly size?: number }) => {
  const hue = ((digit(id, 20) * 32 + digit(id, 21)) / 1024) * 360
  // The browser checks no type of a custom property, and React's types know none.
  const style: CSSProperties & Record<"--hue", string> = { "--hue": hue.toFixed(0), width: size, height: size }
  return (
    <span aria-hidden className="keyed inline-grid shrink-0 place-items-center rounded-xl" style={style}>
      <svg viewBox="0 0 5 5" width={size * 0.58} height={size * 0.58} fill="currentColor" fillOpacity={0.92}>
        {cells(id).map(([x, y]) => (
          <rect key={`${x} ${y}`} x={x + 0.04} y={y + 0.04} width={0.92} height={0.92} rx={0.2} />
        ))}
      </svg>
    </span>
  )
}
