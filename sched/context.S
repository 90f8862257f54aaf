/* SPDX-License-Identifier: MIT */
/*
 * context_swap - the instructions behind context_switch()
 *
 * struct context *context_swap(struct context *from, struct context *to)
 *
 * Pushes what the calling convention makes a callee keep, stores the stack
 * pointer in *from (its first field), takes over the stack pointer of *to and
 * pops the same. Returns, on the other stack, the from that was left. What is
 * pushed is struct frame of context.c; change both together.
 *
 * The frame looks the same on every suspended stack, so the unwind rules hold
 * on both sides of the exchange. context_start, at the foot of every fresh
 * stack, declares its return address undefined and finds a frame pointer of
 * zero: unwinders of both kinds stop there. The nop before it is for those that
 * look up return address minus one.
 *
 * A source of its own and not asm in context.c: an object that says nothing
 * about shadow stacks (CET, GCS) makes the linker switch them off for the
 * program, while a compiler would claim that this code maintains one.
 */
#if defined(__x86_64__) && defined(__LP64__) && !defined(ROTA_UCONTEXT)

	.text
	.globl	context_swap
	.hidden	context_swap
	.type	context_swap, @function
	.p2align 5
context_swap:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movl	(%rsp), %eax
	movzwl	4(%rsp), %ecx

	movq	%rsp, (%rdi)
	movq	(%rsi), %rsp

	/* Loading both took 68 ns where all of this takes 3.5, and they hardly
	   ever differ. The lowest six bits of mxcsr are flags, not ours. */
	xorl	(%rsp), %eax
	testl	$0xffc0, %eax
	jne	2f
	cmpw	4(%rsp), %cx
	jne	2f
1:
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	movq	%rdi, %rax
	/* A ret would be predicted to return to who called us: 13 ns. */
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	jmpq	*%rcx

	.cfi_adjust_cfa_offset 64
	.cfi_offset %rip, -8
	.cfi_offset %rbp, -16
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
2:
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	jmp	1b
	.cfi_endproc
	.size	context_swap, . - context_swap

	/* rbx: struct start; rax: the context that was left */
	.globl	context_start
	.hidden	context_start
	.type	context_start, @function
	.p2align 4
	.cfi_startproc
	.cfi_undefined %rip
	nop
context_start:
	movq	%rbx, %rdi
	movq	%rax, %rsi
	callq	*(%rbx)
	ud2
	.cfi_endproc
	.size	context_start, . - context_start

#elif defined(__aarch64__) && defined(__LP64__) && !defined(ROTA_UCONTEXT)

	.text
	.globl	context_swap
	.hidden	context_swap
	.type	context_swap, %function
	.p2align 5
context_swap:
	.cfi_startproc
	sub	sp, sp, #176
	.cfi_def_cfa_offset 176
	stp	x19, x20, [sp, #0]
	.cfi_offset x19, -176
	.cfi_offset x20, -168
	stp	x21, x22, [sp, #16]
	.cfi_offset x21, -160
	.cfi_offset x22, -152
	stp	x23, x24, [sp, #32]
	.cfi_offset x23, -144
	.cfi_offset x24, -136
	stp	x25, x26, [sp, #48]
	.cfi_offset x25, -128
	.cfi_offset x26, -120
	stp	x27, x28, [sp, #64]
	.cfi_offset x27, -112
	.cfi_offset x28, -104
	stp	x29, x30, [sp, #80]
	.cfi_offset x29, -96
	.cfi_offset x30, -88
	stp	d8, d9, [sp, #96]
	.cfi_offset d8, -80
	.cfi_offset d9, -72
	stp	d10, d11, [sp, #112]
	.cfi_offset d10, -64
	.cfi_offset d11, -56
	stp	d12, d13, [sp, #128]
	.cfi_offset d12, -48
	.cfi_offset d13, -40
	stp	d14, d15, [sp, #144]
	.cfi_offset d14, -32
	.cfi_offset d15, -24
	mrs	x9, fpcr
	str	x9, [sp, #160]

	mov	x10, sp
	str	x10, [x0]
	ldr	x10, [x1]
	mov	sp, x10

	/* Writing fpcr may drain the pipeline, and it hardly ever differs. */
	ldr	x10, [sp, #160]
	cmp	x9, x10
	b.eq	1f
	msr	fpcr, x10
1:
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #176
	.cfi_def_cfa_offset 0
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	/* Not ret, which would be predicted to return to who called us. x0 is
	   still from. */
	br	x30
	.cfi_endproc
	.size	context_swap, . - context_swap

	/* x19: struct start; x0: the context that was left */
	.globl	context_start
	.hidden	context_start
	.type	context_start, %function
	.p2align 4
	.cfi_startproc
	.cfi_undefined x30
	nop
context_start:
	mov	x1, x0
	mov	x0, x19
	ldr	x9, [x19]
	blr	x9
	brk	#0
	.cfi_endproc
	.size	context_start, . - context_start

#endif

	.section .note.GNU-stack, "", %progbits
