import { createBroker } from "tasktrail";

/** Reads REDIS_URL and DATABASE_URL at its first use; importing it opens nothing. */
export const broker = createBroker();
