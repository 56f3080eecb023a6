import type { Express } from 'express';

/** Serves an example at http://localhost:3000, or at the port in `PORT`. */
export function listenOnLoopback(
  createApp: (origin: string) => Express,
  message: (origin: string) => string = (origin) => `Open ${origin}`,
): void {
  const port = Number(process.env.PORT ?? 3000);
  const origin = `http://localhost:${port}`;
  const server = createApp(origin).listen(port, 'localhost');
  server.once('listening', () => console.log(message(origin)));
  server.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    console.error(`Port ${port} is taken. Choose another one, for example with PORT=3001.`);
    process.exit(1);
  });
}
