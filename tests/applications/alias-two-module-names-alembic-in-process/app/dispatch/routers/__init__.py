from dispatch.routers import jobs, riders

ALL = (jobs.router, riders.router)
