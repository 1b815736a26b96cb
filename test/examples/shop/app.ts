// What `tasktrail worker`, `scheduler`, `projector` and `start` are pointed at: the broker, and with it every task.
export { broker } from "./broker.ts";
export { processUpload } from "./process-upload.ts";
export { sendWelcomeEmail } from "./send-welcome-email.ts";
export { syncExternalData } from "./sync-external-data.ts";
