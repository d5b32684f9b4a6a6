/* hiredis: formatted and binary-safe requests, a pipeline, a transaction, error replies. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect(redisReply* reply, int type, const char* text) {
  const int good = reply != NULL && reply->type == type && (text == NULL || strcmp(reply->str, text) == 0);
  if (!good) {
    fprintf(stderr, "expected type %d '%s', got %d '%s'\n", type, text ? text : "", reply ? reply->type : -1,
            reply && reply->str ? reply->str : "");
    exit(1);
  }
  freeReplyObject(reply);
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  redisContext* context = redisConnect("127.0.0.1", atoi(argv[1]));
  if (context == NULL || context->err) return 1;
  expect(redisCommand(context, "PING"), REDIS_REPLY_STATUS, "PONG");
  expect(redisCommand(context, "SET %s %b", "key", "a\0b", (size_t)3), REDIS_REPLY_STATUS, "OK");
  redisReply* reply = redisCommand(context, "GET key");
  if (reply == NULL || reply->len != 3 || memcmp(reply->str, "a\0b", 3) != 0) return 1;
  freeReplyObject(reply);
  expect(redisCommand(context, "GET nothing"), REDIS_REPLY_NIL, NULL);
  for (int i = 0; i < 10000; ++i) redisAppendCommand(context, "INCR counter");
  for (int i = 1; i <= 10000; ++i) {
    if (redisGetReply(context, (void**)&reply) != REDIS_OK || reply->integer != i) return 1;
    freeReplyObject(reply);
  }
  expect(redisCommand(context, "MULTI"), REDIS_REPLY_STATUS, "OK");
  expect(redisCommand(context, "APPEND log x"), REDIS_REPLY_STATUS, "QUEUED");
  expect(redisCommand(context, "EXEC"), REDIS_REPLY_ARRAY, NULL);
  expect(redisCommand(context, "INCR log"), REDIS_REPLY_ERROR, "ERR value is not an integer or out of range");
  redisFree(context);
  return 0;
}
