/** Files that were dropped or chosen, on their way to whoever they are for. */
import { sentence } from "./Client.ts"
import type { Conversation } from "./Model.ts"
import { tell } from "./Notices.ts"
import { fromDrop, fromFiles, type Picked } from "./Picking.ts"
import { show } from "./View.ts"

export const carriesFiles = (transfer: DataTransfer): boolean => transfer.types.includes("Files")

const offer = (picked: Picked, to: Conversation): void => {
  if (picked.files.length === 0 && picked.directories.length === 0) return
  show({ _tag: "Send", picked, to })
}

export const receiveDrop = async (transfer: DataTransfer, to: Conversation): Promise<void> => {
  try {
    offer(await fromDrop(transfer), to)
  } catch (error) {
    tell("problem", sentence(error))
  }
}

export const receiveFiles = (files: ReadonlyArray<File>, to: Conversation): void => {
  try {
    offer(fromFiles(files), to)
  } catch (error) {
    tell("problem", sentence(error))
  }
}
