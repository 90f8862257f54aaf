/* SPDX-License-Identifier: MIT */
/*
 * chain_choice - whether an engine looks for sends that could go out in chains
 */
#ifndef ROTA_CORE_CHAIN_CHOICE_H
#define ROTA_CORE_CHAIN_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * As the program says (enum rota_config_flag), else the environment, else as a
 * compare-and-swap takes long or not. 0; or -EINVAL, and @complaint, of @size
 * bytes, says what is wrong with the environment.
 */
int chain_choice(unsigned flags, bool *wanted, char *complaint, size_t size);

#endif
