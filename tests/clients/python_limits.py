#!/usr/bin/python3
"""limits, and Flask-Limiter above it: fixed windows, also those that grow, over database 1; what is counted at the same time is counted once."""
import sys
import threading

port = int(sys.argv[1])
try:
    import flask
    import flask_limiter
    import flask_limiter.util
    import limits
    import limits.storage
    import limits.strategies
    import redis
except ImportError as error:
    print(f"not installed: {error}")
    sys.exit(77)

url = f"redis://127.0.0.1:{port}/1"
storage = limits.storage.storage_from_string(url)
assert storage.check()
for strategy in (limits.strategies.FixedWindowRateLimiter(storage), limits.strategies.FixedWindowElasticExpiryRateLimiter(storage)):
    name = type(strategy).__name__
    ten = limits.parse("10/hour")
    passed = []
    workers = [threading.Thread(target=lambda: [passed.append(strategy.hit(ten, name, "one")) for _ in range(5)]) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert passed.count(True) == 10 and passed.count(False) == 20
    assert not strategy.test(ten, name, "one") and strategy.test(ten, name, "two")
    reset, remaining = strategy.get_window_stats(ten, name, "one")
    assert remaining == 0 and reset > 0
    strategy.clear(ten, name, "one")
    assert strategy.hit(ten, name, "one", cost=10) and not strategy.hit(ten, name, "one")

app = flask.Flask("limited")
limiter = flask_limiter.Limiter(flask_limiter.util.get_remote_address, app=app, storage_uri=url, strategy="fixed-window",
                                headers_enabled=True)


@app.route("/slow")
@limiter.limit("3 per day")
def slow():
    return "passed"


client = app.test_client()
statuses = [client.get("/slow").status_code for _ in range(5)]
assert statuses == [200, 200, 200, 429, 429], statuses
assert client.get("/slow").headers["X-RateLimit-Remaining"] == "0"
assert redis.Redis(port=port).dbsize() == 0 and redis.Redis(port=port, db=1).dbsize() > 0
assert storage.reset() > 0 and redis.Redis(port=port, db=1).dbsize() == 0
assert client.get("/slow").status_code == 200
