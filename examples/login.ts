/** A login of the host's own, for the examples. It accepts any name. */
import express, { Router } from 'express';
import session from 'express-session';

declare module 'express-session' {
  interface SessionData {
    user: { id: string; authTime: number };
  }
}

/** Adds a session and `/login`. `isResumeUrl` is the router's: the login page must not redirect to any other URL. */
export function createLogin(options: {
  secret: string;
  isResumeUrl: (url: unknown) => url is string;
}): Router {
  const router = Router();
  router.use(session({ secret: options.secret, resave: false, saveUninitialized: false }));

  router.get('/login', (_req, res) => void res.send(PAGE));
  router.post('/login', express.urlencoded(), (req, res, next) => {
    const { name } = (req.body ?? {}) as { name?: unknown };
    if (typeof name !== 'string' || name === '') return void res.status(400).send(PAGE);
    const returnTo = req.query.return_to;
    req.session.regenerate((error) => {
      if (error) return next(error);
      req.session.user = { id: name, authTime: Math.floor(Date.now() / 1000) };
      res.redirect(options.isResumeUrl(returnTo) ? returnTo : '/');
    });
  });
  return router;
}

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in</title>
<h1>Sign in</h1>
<form method="post">
<label>Your name <input name="name" value="alice" autocomplete="username" required></label>
<button>Sign in</button>
</form>
</html>
`;
