/* SPDX-License-Identifier: MIT */
/*
 * rota/rota.h - everything
 */
#ifndef ROTA_ROTA_H
#define ROTA_ROTA_H

#include <rota/actor.h>
#include <rota/ask.h>
#include <rota/base.h>
#include <rota/cell.h>
#include <rota/closure.h>
#include <rota/engine.h>
#include <rota/host.h>
#include <rota/offload.h>
#include <rota/process.h>
#include <rota/protocol.h>
#include <rota/stats.h>
#include <rota/status.h>
#include <rota/task.h>
#include <rota/timer.h>
#include <rota/topology.h>
#include <rota/version.h>
#include <rota/wait.h>

#endif
